// SPDX-License-Identifier: Apache-2.0
//
// One process at a time at something that a file stands for. The lock is the kernel's: it ends with the
// process, however that ends, so that nothing is ever left behind to be cleaned up. The file stays and says
// who had the lock last.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace trimtab {

class FileLock {
 public:
  // Nothing if somebody else has it, another object of this process included. The file is made if need be.
  // Throws ConfigError if it cannot be, Error if the file system knows no locks.
  static std::optional<FileLock> try_take(const std::string& path);
  // Waits for it.
  static FileLock take(const std::string& path);
  // "process 71 on node-3" if somebody has the lock, "" if nobody has. Takes nothing.
  static std::string holder(const std::string& path);

  ~FileLock();
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

 private:
  explicit FileLock(const std::string& path);

  int descriptor_;
};

}  // namespace trimtab
