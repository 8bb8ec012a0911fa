// SPDX-License-Identifier: Apache-2.0
//
// File: 8 bytes of magic with the version, 64 bytes of key, 8 bytes of count (little-endian), then int32 ids.
#include "data/token_array.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/log.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian and mapped as it is");

struct Header {
  std::array<char, 8> magic{'T', 'T', 'I', 'D', 'S', '0', '0', '1'};
  std::array<char, 64> key{};
  std::uint64_t count = 0;
};
static_assert(sizeof(Header) == 80);

// A line of the text without what is no text; empty for a heading.
std::string_view bare_line(std::string_view line) {
  while (!line.empty() && (line.front() == '\f' || line.front() == ' ')) line.remove_prefix(1);
  return line.starts_with("=== ") && line.ends_with(" ===") ? std::string_view{} : line;
}

std::vector<TokenId> tokenize(const CorpusOptions& options, const Tokenizer& tokenizer) {
  std::vector<TokenId> all;
  const InvalidUtf8 invalid = options.replace_invalid ? InvalidUtf8::kReplace : InvalidUtf8::kFail;
  for (const TextFile& file : read_texts(options.path))
    for_each_line(
        file,
        [&](std::string_view line, std::size_t) {
          const std::vector<TokenId> ids = tokenizer.encode(bare_line(line));
          all.insert(all.end(), ids.begin(), ids.end());
        },
        invalid);
  return all;
}

std::string cache_path(const CorpusOptions& options, const std::string& key) {
  const std::filesystem::path text(options.path);
  const std::filesystem::path folder =
      options.cache.empty() ? text.parent_path() : std::filesystem::path(options.cache);
  return (folder / (text.filename().string() + "." + key.substr(0, 16) + ".ids")).string();
}

std::string key_of(const CorpusOptions& options, const Tokenizer& tokenizer) {
  const Header header;
  Sha256 hash;
  hash.update({header.magic.data(), header.magic.size()});
  hash.update(tokenizer.hash());
  hash.update(std::to_string(tokenizer.size() - tokenizer.pieces()) + (options.replace_invalid ? "r" : "f"));
  hash.update(sha256_file(options.path));
  return hash.hex();
}

}  // namespace

TokenArray::TokenArray(const std::string& path, const std::string& key) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("{}: cannot be read: {}", path, std::strerror(errno));
  struct stat info {};
  const bool known = ::fstat(file, &info) == 0;
  bytes_ = known ? static_cast<std::size_t>(info.st_size) : 0;
  if (bytes_ >= sizeof(Header)) mapping_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  ::close(file);
  if (bytes_ < sizeof(Header))
    fail("{}: cut file of {} bytes; delete it, and it is made again", path, bytes_);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    fail("{}: cannot be mapped: {}", path, std::strerror(error));
  }
  Header header;
  std::memcpy(&header, mapping_, sizeof header);
  const bool same = header.magic == Header().magic && std::string_view(header.key.data(), 64) == key;
  const bool whole = header.count == (bytes_ - sizeof(Header)) / sizeof(TokenId);
  if (same && whole) return;
  ::munmap(mapping_, bytes_);
  mapping_ = nullptr;
  if (!same) fail("{}: holds other text or another vocabulary; delete it, and it is made again", path);
  fail("{}: cut file: {} ids in {} bytes; delete it, and it is made again", path, header.count, bytes_);
}

TokenArray::~TokenArray() {
  if (mapping_ != nullptr) ::munmap(mapping_, bytes_);
}

TokenArray::TokenArray(TokenArray&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

std::span<const TokenId> TokenArray::ids() const {
  const auto* first = reinterpret_cast<const TokenId*>(static_cast<const char*>(mapping_) + sizeof(Header));
  return {first, (bytes_ - sizeof(Header)) / sizeof(TokenId)};
}

void TokenArray::write(const std::string& path, const std::string& key, std::span<const TokenId> ids) {
  Header header;
  TT_CHECK(key.size() == header.key.size(), "the key '{}' has {} characters", key, key.size());
  std::copy(key.begin(), key.end(), header.key.begin());
  header.count = ids.size();
  AtomicFile file(path);
  file.write(&header, sizeof header);
  file.write(ids.data(), ids.size_bytes());
  file.commit();
}

TokenArray open_corpus(const CorpusOptions& options, const Tokenizer& tokenizer) {
  if (options.path.empty()) fail_config("corpus: the path of the text is missing");
  const std::string key = key_of(options, tokenizer);
  const std::string path = cache_path(options, key);
  if (!std::filesystem::exists(path)) {
    TT_LOG(info, "tokenising {} into {}", options.path, path);
    const std::vector<TokenId> ids = tokenize(options, tokenizer);
    if (ids.empty()) fail("{}: the corpus has no text", options.path);
    try {
      TokenArray::write(path, key, ids);
    } catch (const Error& error) {
      fail("{} (the ids of {} are kept there; set `cache` to a folder that can be written)", error.what(),
           options.path);
    }
  }
  return TokenArray(path, key);
}

}  // namespace trimtab
