// SPDX-License-Identifier: Apache-2.0
//
// SHA-256, to prove that frozen weights are the same after a run as before, and to compare resolved configs
// between ranks.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace trimtab {

class Sha256 {
 public:
  Sha256();

  void update(const void* bytes, std::size_t count);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }

  // 64 lower-case hexadecimal digits of all bytes so far; more bytes may follow.
  std::string hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view bytes);

// Throws Error that names the file and the system's reason.
std::string sha256_file(const std::string& path);

}  // namespace trimtab
