// SPDX-License-Identifier: Apache-2.0
//
// Locks of open file descriptions, not flock(): the same life time, but whether one is held can be asked
// without taking it, so that looking never keeps somebody else from starting.
#include "runtime/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "runtime/check.h"

namespace trimtab {
namespace {

struct flock whole_file() {
  struct flock out {};
  out.l_type = F_WRLCK;
  out.l_whence = SEEK_SET;
  return out;
}

[[noreturn]] void refuse(const std::string& path, int error) {
  fail("{}: cannot be locked: {}; choose a folder on a file system with locks", path, std::strerror(error));
}

void write_holder(int descriptor, const std::string& path) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string text = fmt::format("process {} on {}", ::getpid(), host.data());
  const bool written = ::ftruncate(descriptor, 0) == 0 &&
                       ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written) fail("{}: cannot be written: {}", path, std::strerror(errno));
}

}  // namespace

FileLock::FileLock(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail_config("{}: cannot be made: {}", path, std::strerror(errno));
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<FileLock> FileLock::try_take(const std::string& path) {
  FileLock lock(path);
  struct flock wanted = whole_file();
  if (::fcntl(lock.descriptor_, F_OFD_SETLK, &wanted) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::nullopt;
    refuse(path, errno);
  }
  write_holder(lock.descriptor_, path);
  return lock;
}

FileLock FileLock::take(const std::string& path) {
  FileLock lock(path);
  struct flock wanted = whole_file();
  while (::fcntl(lock.descriptor_, F_OFD_SETLKW, &wanted) != 0)
    if (errno != EINTR) refuse(path, errno);
  write_holder(lock.descriptor_, path);
  return lock;
}

std::string FileLock::holder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return "";
  struct flock asked = whole_file();
  const int code = ::fcntl(descriptor, F_OFD_GETLK, &asked);
  const int error = errno;
  ::close(descriptor);
  if (code != 0) refuse(path, error);
  if (asked.l_type == F_UNLCK) return "";
  std::string text;
  std::getline(std::ifstream(path), text);
  return text.empty() ? "another process" : text;
}

}  // namespace trimtab
