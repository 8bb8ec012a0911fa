// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_lock.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;

class Locks : public ::testing::Test {
 protected:
  Locks() : path_(::testing::TempDir() + "trimtab-lock-" + std::to_string(::getpid())) {}
  ~Locks() override { std::filesystem::remove(path_); }

  std::string path_;
};

TEST_F(Locks, OneAtATimeAndGoneWithTheObject) {
  EXPECT_EQ(FileLock::holder(path_), "");
  {
    const auto lock = FileLock::try_take(path_);
    ASSERT_TRUE(lock);
    EXPECT_FALSE(FileLock::try_take(path_));
    EXPECT_THAT(FileLock::holder(path_), HasSubstr("process " + std::to_string(getpid()) + " on "));
  }
  EXPECT_EQ(FileLock::holder(path_), "");
  EXPECT_TRUE(FileLock::try_take(path_));
}

TEST_F(Locks, TakeWaits) {
  auto first = FileLock::try_take(path_);
  std::atomic<bool> released = false;
  std::thread other([&] {
    const FileLock second = FileLock::take(path_);
    EXPECT_TRUE(released);
  });
  std::this_thread::yield();
  released = true;
  first.reset();
  other.join();
}

TEST_F(Locks, AKilledProcessLeavesNone) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::try_take(path_);
    const char answer = lock ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_FALSE(FileLock::try_take(path_));
  EXPECT_THAT(FileLock::holder(path_), HasSubstr("process " + std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(FileLock::holder(path_), "");
  EXPECT_TRUE(FileLock::try_take(path_));
}

TEST_F(Locks, AFileThatCannotBeMadeIsNamed) {
  try {
    FileLock::take("/proc/none/lock");
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/proc/none/lock"));
  }
}

}  // namespace
}  // namespace trimtab
