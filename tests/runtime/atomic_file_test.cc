// SPDX-License-Identifier: Apache-2.0
#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include "runtime/check.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/trimtab_atomic_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string content(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}));
  }

  fs::path folder_;
};

template <class Exception>
std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(AtomicFileTest, AppearsAtCommitAndNotBefore) {
  {
    AtomicFile file(path("a"));
    file.write("hello ");
    file.write("world");
    EXPECT_FALSE(fs::exists(path("a")));
    file.commit();
    EXPECT_EQ(content("a"), "hello world");
    EXPECT_THROW(file.write("more"), Error);
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_EQ(content("a"), "hello world");
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileTest, WithoutCommitTheOldFileStays) {
  write_file_atomically(path("a"), "old");
  { AtomicFile(path("a")).write("new"); }
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(files(), 1u);
  write_file_atomically(path("a"), "new");
  EXPECT_EQ(content("a"), "new");
}

TEST_F(AtomicFileTest, KeepsTheUsersMask) {
  const mode_t before = ::umask(027);
  write_file_atomically(path("a"), "x");
  ::umask(before);
  EXPECT_EQ(fs::status(path("a")).permissions(), fs::perms(0640));
}

TEST_F(AtomicFileTest, TwoWritersDoNotShareTheTemporary) {
  AtomicFile first(path("a")), second(path("a"));
  first.write("first");
  second.write("second");
  first.commit();
  EXPECT_EQ(content("a"), "first");
  second.commit();
  EXPECT_EQ(content("a"), "second");
}

TEST_F(AtomicFileTest, PathForWritersThatOpenByName) {
  AtomicPath target(path("store.h5"));
  std::ofstream(target.temporary()) << "bytes";
  EXPECT_FALSE(fs::exists(path("store.h5")));
  target.commit();
  EXPECT_EQ(content("store.h5"), "bytes");
  EXPECT_EQ(target.path(), path("store.h5"));
}

TEST_F(AtomicFileTest, ShortAndInterruptedWritesAreContinued) {
  int calls = 0;
  AtomicFile file(path("a"), [&](int descriptor, const void* bytes, std::size_t count) -> ssize_t {
    if (++calls == 2) {
      errno = EINTR;
      return -1;
    }
    return ::write(descriptor, bytes, std::min<std::size_t>(count, 3));
  });
  file.write("0123456789");
  file.commit();
  EXPECT_EQ(content("a"), "0123456789");
  EXPECT_EQ(calls, 5);
}

TEST_F(AtomicFileTest, FullDiskIsNamedAndLeavesTheOldFile) {
  write_file_atomically(path("a"), "old");
  {
    AtomicFile file(path("a"), [calls = 0](int, const void*, std::size_t) mutable -> ssize_t {
      if (calls++ == 0) return 4;
      errno = ENOSPC;
      return -1;
    });
    const std::string message = message_of<Error>([&] { file.write("0123456789"); });
    EXPECT_THAT(message,
                StartsWith(path("a") + ": cannot write the file (after 4 bytes): No space left on device; "));
    EXPECT_THAT(message,
                HasSubstr(" are free in " + folder_.string() + ": make room or choose another folder"));
  }
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(files(), 1u);
}

// The system's own full device, with its own errno.
TEST_F(AtomicFileTest, DevFull) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  AtomicFile file(path("a"),
                  [&](int, const void* bytes, std::size_t count) { return ::write(full, bytes, count); });
  EXPECT_THAT(message_of<Error>([&] { file.write("x"); }),
              HasSubstr("(after 0 bytes): No space left on device"));
  ::close(full);
}

TEST_F(AtomicFileTest, MissingFolderIsNamed) {
  EXPECT_EQ(message_of<Error>([&] { AtomicFile file(path("no/a")); }),
            path("no/a") + ": cannot create the file: No such file or directory; create the folder " +
                path("no") + " first");
  EXPECT_EQ(message_of<Error>([&] { AtomicFile file(folder_.string()); }),
            folder_.string() + ": cannot create the file: a folder has this name");
}

TEST_F(AtomicFileTest, FolderIsCreatedAndLeftEmpty) {
  check_writable_folder(path("x/y/z"), 1);
  EXPECT_TRUE(fs::is_directory(path("x/y/z")));
  EXPECT_TRUE(fs::is_empty(path("x/y/z")));
  check_writable_folder(path("x/y/z"), 0);
}

TEST_F(AtomicFileTest, FolderThatCannotBe) {
  write_file_atomically(path("file"), "");
  EXPECT_THAT(message_of<ConfigError>([&] { check_writable_folder(path("file"), 0); }),
              HasSubstr(path("file") + ": "));
  EXPECT_THAT(message_of<ConfigError>([&] { check_writable_folder(path("file/below"), 0); }),
              StartsWith(path("file/below") + ": cannot create the folder: "));
  EXPECT_THAT(message_of<ConfigError>([&] { check_writable_folder("/proc/trimtab", 0); }),
              HasSubstr("/proc/trimtab: cannot create the folder: "));
  // A folder in which nobody, root included, can create files.
  EXPECT_THAT(
      message_of<ConfigError>([&] { check_writable_folder("/proc/self", 0); }),
      StartsWith("/proc/self: cannot write to the folder: /proc/self/write-probe: cannot create the file: "));
}

TEST_F(AtomicFileTest, TooLittleSpaceSaysHowMuch) {
  const std::string message = message_of<ConfigError>(
      [&] { check_writable_folder(folder_.string(), std::numeric_limits<std::uint64_t>::max()); });
  EXPECT_THAT(message, StartsWith(folder_.string() + ": 16.0 EiB are needed but only "));
  EXPECT_THAT(message, HasSubstr(" are free; make room or choose another folder"));
}

TEST(ReadableBytes, HasFittingUnits) {
  EXPECT_EQ(readable_bytes(0), "0 bytes");
  EXPECT_EQ(readable_bytes(1023), "1023 bytes");
  EXPECT_EQ(readable_bytes(1024), "1.0 KiB");
  EXPECT_EQ(readable_bytes(3ull << 29), "1.5 GiB");
}

}  // namespace
}  // namespace trimtab
