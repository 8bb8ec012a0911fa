// SPDX-License-Identifier: Apache-2.0
//
// Files that are either there in full or not at all: written beside their final name, synced to the device,
// renamed over it, and the folder synced. Whoever writes owns the object; without commit() the temporary is
// removed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace trimtab {

// What a file survives: the end of its writer, or also a power cut, for which everything is synced.
enum class Durability { kProcess, kPowerCut };

// For writers that open files by name (HDF5): write temporary(), close it, commit().
class AtomicPath {
 public:
  // Creates an empty temporary beside `path`. Throws Error that names the folder when it cannot.
  explicit AtomicPath(std::string path);
  ~AtomicPath();
  AtomicPath(const AtomicPath&) = delete;
  AtomicPath& operator=(const AtomicPath&) = delete;

  const std::string& path() const { return path_; }
  const std::string& temporary() const { return temporary_; }

  // Syncs the temporary, renames it to path(), syncs the folder; with kProcess it only renames. Throws Error;
  // path() then holds what it held before.
  void commit(Durability durability = Durability::kPowerCut);

 private:
  std::string path_;
  std::string temporary_;
  bool committed_ = false;
};

class AtomicFile {
 public:
  // As write(2); replaced in tests.
  using WriteFunction = std::function<ssize_t(int descriptor, const void* bytes, std::size_t count)>;

  explicit AtomicFile(std::string path, WriteFunction write = {});
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error that names the file, what was written so far and the system's reason (with the free space
  // when the device is full).
  void write(const void* bytes, std::size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

  // Once; nothing can be written afterwards.
  void commit();

 private:
  AtomicPath target_;
  WriteFunction write_;
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
};

// Gives a file that is on the device another name in its folder, in place of what had it. Throws Error.
void replace_file(const std::string& from, const std::string& to);

// Removes the temporaries of `path` that writers left who were killed. For whoever alone writes `path`.
void remove_unfinished(const std::string& path);

void write_file_atomically(const std::string& path, std::string_view bytes);

// Creates the folder if need be, writes and removes a probe, and compares the free space with `bytes_needed`.
// To be called before work starts: throws ConfigError that names folder, reason, needed and free space, and
// the remedy.
void check_writable_folder(const std::string& path, std::uint64_t bytes_needed);

// "1.5 GiB", "12 bytes".
std::string readable_bytes(std::uint64_t bytes);

}  // namespace trimtab
