// SPDX-License-Identifier: Apache-2.0
#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "runtime/check.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Free bytes for this user, or 0 when the system does not say.
std::uint64_t free_bytes(const std::string& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

std::string remedy(int error, const std::string& folder) {
  switch (error) {
    case ENOSPC:
      return fmt::format("; {} are free in {}: make room or choose another folder",
                         readable_bytes(free_bytes(folder)), folder);
    case EDQUOT:
      return fmt::format("; your quota in {} is used up: make room or choose another folder", folder);
    case EACCES:
    case EPERM:
    case EROFS:
      return fmt::format("; choose a folder that you may write to instead of {}", folder);
    case ENOENT:
      return fmt::format("; create the folder {} first", folder);
    default:
      return "";
  }
}

[[noreturn]] void fail_system(const std::string& path, std::string_view what, int error) {
  fail("{}: cannot {}: {}{}", path, what, std::strerror(error), remedy(error, folder_of(path)));
}

// Syncs a file or a folder; returns errno, 0 for success.
int sync_path(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  return error;
}

void rename_file(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail_system(to, "put the file in its place", errno);
}

void sync_folder(const std::string& path) {
  const int error = sync_path(folder_of(path), O_RDONLY | O_DIRECTORY);
  // Some network file systems cannot sync folders and say EINVAL; the rename is as durable there as it will
  // ever be.
  if (error != 0 && error != EINVAL) fail_system(path, "sync the folder of the file", error);
}

// Other writers of the same target (another rank, another job) must not share the temporary, hence O_EXCL and
// the process id; the mode is what open() gives, so that the user's umask holds.
std::string create_temporary(const std::string& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string name = fmt::format("{}.part-{}-{}", path, ::getpid(), attempt);
    const int descriptor = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      ::close(descriptor);
      return name;
    }
    if (errno != EEXIST) fail_system(path, "create the file", errno);
  }
  fail("{}: cannot create the file: 1000 unfinished ones ({}.part-*) lie beside it; remove them", path, path);
}

}  // namespace

AtomicPath::AtomicPath(std::string path) : path_(std::move(path)) {
  std::error_code ignored;
  // What a link points to is replaced, not the link.
  if (fs::is_symlink(path_, ignored)) {
    const fs::path target = fs::weakly_canonical(path_, ignored);
    if (!target.empty()) path_ = target.string();
  }
  if (fs::is_directory(path_, ignored)) fail("{}: cannot create the file: a folder has this name", path_);
  if (fs::exists(path_, ignored) && !fs::is_regular_file(path_, ignored))
    fail("{}: is no regular file, and would be replaced; name another path", path_);
  temporary_ = create_temporary(path_);
}

AtomicPath::~AtomicPath() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicPath::commit(Durability durability) {
  TT_CHECK(!committed_, "{} was committed before", path_);
  const bool sync = durability == Durability::kPowerCut;
  if (const int error = sync ? sync_path(temporary_, O_RDONLY) : 0)
    fail_system(path_, "bring the file to the device", error);
  rename_file(temporary_, path_);
  committed_ = true;
  if (sync) sync_folder(path_);
}

void replace_file(const std::string& from, const std::string& to) {
  rename_file(from, to);
  sync_folder(to);
}

AtomicFile::AtomicFile(std::string path, WriteFunction write)
    : target_(std::move(path)), write_(std::move(write)) {
  if (!write_) write_ = ::write;
  descriptor_ = ::open(target_.temporary().c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_system(target_.path(), "open the file", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  TT_CHECK(descriptor_ >= 0, "{} was committed before", target_.path());
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = write_(descriptor_, next, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      const int error = done < 0 ? errno : EIO;
      fail_system(target_.path(), fmt::format("write the file (after {} bytes)", written_), error);
    }
    next += done;
    count -= static_cast<std::size_t>(done);
    written_ += static_cast<std::uint64_t>(done);
  }
}

void AtomicFile::commit() {
  TT_CHECK(descriptor_ >= 0, "{} was committed before", target_.path());
  // Network file systems report a full disk at close.
  const int error = ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno;
  if (error != 0) fail_system(target_.path(), "close the file", error);
  target_.commit();
}

void remove_unfinished(const std::string& path) {
  const std::string begin = fs::path(path).filename().string() + ".part-";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(path), error))
    if (entry.path().filename().string().starts_with(begin)) fs::remove(entry.path(), error);
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void check_writable_folder(const std::string& path, std::uint64_t bytes_needed) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    fail_config("{}: cannot create the folder: {}; choose a folder that you may write to", path,
                error.message());
  if (!fs::is_directory(path, error)) fail_config("{}: is not a folder; choose another one", path);
  try {
    AtomicFile probe((fs::path(path) / "write-probe").string());
    probe.write("probe");
  } catch (const Error& reason) {
    fail_config("{}: cannot write to the folder: {}", path, reason.what());
  }
  const std::uint64_t available = free_bytes(path);
  if (available < bytes_needed)
    fail_config("{}: {} are needed but only {} are free; make room or choose another folder", path,
                readable_bytes(bytes_needed), readable_bytes(available));
}

std::string readable_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace trimtab
