// SPDX-License-Identifier: Apache-2.0
#include "runtime/log.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <vector>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::MatchesRegex;

class Log : public testing::Test {
 protected:
  void TearDown() override { configure_log({}); }
};

TEST_F(Log, LineHasTimeRankLevelText) {
  configure_log({.rank = 3, .world = 128, .level = LogLevel::debug, .file = ""});
  testing::internal::CaptureStderr();
  TT_LOG(info, "read {} tensors from {}", 7, "a.h5");
  TT_LOG(warning, "100%% {{}}");
  TT_LOG(error, "text");
  TT_LOG(debug, "text");
  const std::string text = testing::internal::GetCapturedStderr();
  const std::string time = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]    3  ";
  EXPECT_THAT(text,
              MatchesRegex(time + "info     read 7 tensors from a.h5\n" + time + "warning  100%% \\{\\}\n" +
                           time + "error    text\n" + time + "debug    text\n"));
}

TEST_F(Log, RankColumnIsAsWideAsTheGreatestRank) {
  for (const auto& [rank, world, column] :
       {std::tuple(0, 1, "  0  info"), std::tuple(9, 10, "  9  info"), std::tuple(9, 11, "   9  info"),
        std::tuple(10, 11, "  10  info"), std::tuple(-1, 1, "  -  info")}) {
    configure_log({.rank = rank, .world = world, .level = LogLevel::info, .file = ""});
    testing::internal::CaptureStderr();
    TT_LOG(info, "x");
    EXPECT_THAT(testing::internal::GetCapturedStderr().substr(8), testing::StartsWith(column));
  }
}

TEST_F(Log, ArgumentsOfSilentLinesAreNotEvaluated) {
  configure_log({.rank = 0, .world = 1, .level = LogLevel::warning, .file = ""});
  int evaluated = 0;
  testing::internal::CaptureStderr();
  TT_LOG(info, "{}", ++evaluated);
  TT_LOG(debug, "{}", ++evaluated);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(evaluated, 0);
  EXPECT_TRUE(log_enabled(LogLevel::error));
  EXPECT_FALSE(log_enabled(LogLevel::info));
}

TEST_F(Log, FileHoldsTheSameLinesOfAllThreads) {
  const auto path = std::filesystem::path(testing::TempDir()) / "trimtab_log_test.txt";
  std::filesystem::remove(path);
  configure_log({.rank = 0, .world = 1, .level = LogLevel::info, .file = path.string()});
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 50; ++i) TT_LOG(info, "thread {} line {} end", t, i);
    });
  for (std::thread& thread : threads) thread.join();
  const std::string on_stderr = testing::internal::GetCapturedStderr();
  configure_log({});
  std::ifstream file(path);
  std::stringstream in_file;
  in_file << file.rdbuf();
  EXPECT_EQ(in_file.str().size(), on_stderr.size());
  int lines = 0;
  for (std::string line; std::getline(in_file, line); ++lines) EXPECT_THAT(line, testing::EndsWith(" end"));
  EXPECT_EQ(lines, 200);
  std::filesystem::remove(path);
}

TEST_F(Log, FileHoldsMoreThanIsShown) {
  const auto path = std::filesystem::path(testing::TempDir()) / "trimtab_log_test_levels.txt";
  std::filesystem::remove(path);
  configure_log({.rank = 0, .world = 1, .level = LogLevel::warning, .file = path.string()});
  testing::internal::CaptureStderr();
  TT_LOG(debug, "for the file");
  TT_LOG(warning, "for both");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), MatchesRegex("[^\n]*for both\n"));
  configure_log({});
  std::stringstream in_file;
  in_file << std::ifstream(path).rdbuf();
  EXPECT_THAT(in_file.str(), MatchesRegex("[^\n]*debug    for the file\n[^\n]*warning  for both\n"));
  std::filesystem::remove(path);
}

TEST_F(Log, IsConfiguredAnewWhileAThreadWrites) {
  const std::string path = testing::TempDir() + "/trimtab_log_test_threads.txt";
  constexpr int kLines = 2'000;
  std::atomic<bool> begun = false;
  std::filesystem::remove(path);
  configure_log({.rank = 0, .world = 1, .level = LogLevel::error, .file = path});
  std::jthread writer([&] {
    for (int line = 0; line < kLines; ++line, begun = true) TT_LOG(info, "line {}", line);
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) configure_log({.rank = i, .world = 1, .level = LogLevel::error, .file = path});
  writer.join();
  configure_log({});
  std::ifstream file(path);
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), kLines);
  std::filesystem::remove(path);
}

TEST_F(Log, SaysWhichFileCannotBeOpened) {
  try {
    configure_log({.rank = 0, .world = 1, .level = LogLevel::info, .file = "/proc/no/such.log"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("/proc/no/such.log: cannot open the log file: "));
  }
}

TEST_F(Log, LevelsHaveNames) {
  EXPECT_EQ(parse_log_level("warning"), LogLevel::warning);
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  try {
    parse_log_level("warn");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "unknown log level 'warn'; did you mean 'warning'? levels: debug, info, warning, error");
  }
}

}  // namespace
}  // namespace trimtab
