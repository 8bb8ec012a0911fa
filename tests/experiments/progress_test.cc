// SPDX-License-Identifier: Apache-2.0
#include "experiments/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace trimtab {
namespace {

struct Bench {
  double now = 1000.0;
  std::ostringstream out;

  Progress make(ProgressOptions options) {
    return Progress(
        std::move(options), [this] { return now; }, out);
  }
  std::string take() {
    std::string text = out.str();
    out.str("");
    return text;
  }
};

ProgressOptions to_a_file(std::int64_t total) {
  ProgressOptions options;
  options.total = total;
  return options;
}

TEST(Progress, WritesALineNowAndThenToAFile) {
  Bench bench;
  Progress progress = bench.make(to_a_file(1000));
  progress.update(0);
  EXPECT_EQ(bench.take(), "train      0/1000   0.0 %\n");
  bench.now += 29.9;
  progress.update(59, 2.0);
  EXPECT_EQ(bench.take(), "");
  bench.now += 0.1;
  progress.update(60, 1.23456);
  EXPECT_EQ(bench.take(), "train     60/1000   6.0 %   2.00 step/s   7:50 left   loss 1.235\n");
  bench.now += 470.0;
  progress.update(1000, 0.5);
  EXPECT_EQ(bench.take(), "train   1000/1000   100.0 %   2.00 step/s   loss 0.5\n");
  progress.finish();
  EXPECT_EQ(bench.take(), "");
}

TEST(Progress, TheLastUpdateIsAlwaysWrittenAndNeverRoundedUpBefore) {
  Bench bench;
  Progress progress = bench.make(to_a_file(10000));
  progress.update(9999);
  EXPECT_EQ(bench.take(), "train    9999/10000   99.9 %\n");
  progress.update(10000);
  EXPECT_EQ(bench.take(), "train   10000/10000   100.0 %\n");
}

TEST(Progress, RateIsOfTheLastMinuteAndNotOfAnEarlierRun) {
  Bench bench;
  ProgressOptions options = to_a_file(100000);
  options.first = 50000;
  Progress progress = bench.make(options);
  for (int i = 1; i <= 4; ++i) {
    bench.now += 30.0;
    progress.update(50000 + 30 * i);
  }
  bench.take();
  for (int i = 1; i <= 2; ++i) {
    bench.now += 30.0;
    progress.update(50120 + 3000 * i);
  }
  EXPECT_EQ(bench.take(),
            "train    53120/100000   53.1 %   50.5 step/s   15:28 left\n"
            "train    56120/100000   56.1 %   100 step/s   7:19 left\n");
}

TEST(Progress, RedrawsInPlaceOnATerminal) {
  Bench bench;
  ProgressOptions options = to_a_file(4);
  options.terminal = true;
  options.label = "evaluate";
  options.unit = "row";
  options.width = 30;
  Progress progress = bench.make(options);
  progress.update(1);
  EXPECT_EQ(bench.take(), "\r\x1b[Kevaluate   1/4   25.0 %");
  bench.now += 0.05;
  progress.update(2);
  EXPECT_EQ(bench.take(), "");
  bench.now += 0.1;
  progress.update(3);
  EXPECT_EQ(bench.take(), "\r\x1b[Kevaluate   3/4   75.0 %   20.0");  // cut at 30 columns
  progress.clear();
  progress.clear();
  EXPECT_EQ(bench.take(), "\r\x1b[K");
  progress.update(3);
  EXPECT_EQ(bench.take().substr(0, 12), "\r\x1b[Kevaluate");
  progress.finish();
  progress.finish();
  EXPECT_EQ(bench.take(), "\n");
}

TEST(Progress, DurationsAreReadable) {
  EXPECT_EQ(readable_duration(0.4), "0:00");
  EXPECT_EQ(readable_duration(7.0), "0:07");
  EXPECT_EQ(readable_duration(59.6), "1:00");
  EXPECT_EQ(readable_duration(9337.0), "2:35:37");
  EXPECT_EQ(readable_duration(3 * 86400 + 61), "3d 00:01:01");
}

}  // namespace
}  // namespace trimtab
