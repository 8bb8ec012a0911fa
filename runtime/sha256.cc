// SPDX-License-Identifier: Apache-2.0
#include "runtime/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "runtime/check.h"

namespace trimtab {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  TT_CHECK(context_ != nullptr, "no memory for a hash");
  TT_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "OpenSSL offers no SHA-256");
}

void Sha256::update(const void* bytes, std::size_t count) {
  TT_CHECK(EVP_DigestUpdate(context_.get(), bytes, count) == 1, "{} bytes", count);
}

std::string Sha256::hex() const {
  // Finishing spoils a context, so a copy is finished.
  const std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());
  TT_CHECK(copy != nullptr && EVP_MD_CTX_copy_ex(copy.get(), context_.get()) == 1, "no memory for a hash");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  TT_CHECK(EVP_DigestFinal_ex(copy.get(), digest.data(), &size) == 1, "size {}", size);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) fail("{}: cannot open the file to hash it: {}", path, std::strerror(errno));
  Sha256 hash;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (true) {
    const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get());
    hash.update(buffer.data(), count);
    if (count < buffer.size()) break;
  }
  if (std::ferror(file.get()) != 0)
    fail("{}: cannot read the file to hash it: {}", path, std::strerror(errno));
  return hash.hex();
}

}  // namespace trimtab
