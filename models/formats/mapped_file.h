// SPDX-License-Identifier: Apache-2.0
//
// A file mapped into memory for reading: what is not touched is never read, and ranks of one node share the
// pages.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace trimtab {

class MappedFile {
 public:
  // Throws Error that names the file and the system's reason.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // None of its pages counts to this process any longer. Whoever touches them again finds them as before.
  void forget() const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The same of the pages that these bytes of a mapped file fill, if they are many.
void forget_pages(std::span<const std::byte> bytes);

}  // namespace trimtab
