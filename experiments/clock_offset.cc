// SPDX-License-Identifier: Apache-2.0
#include "experiments/clock_offset.h"

#include <chrono>
#include <limits>

namespace trimtab {
namespace {

constexpr int kRounds = 30;
constexpr double kNanosecond = 1e-9;

}  // namespace

std::int64_t wall_clock() {
  using std::chrono::nanoseconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<nanoseconds>(now).count();
}

ClockOffset clock_offset(Communicator& all, int peer, const NanosecondClock& now) {
  const bool asks = all.rank() == 0;
  const int other = asks ? peer : 0;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  double offset = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    std::int64_t mine = 0, theirs = 0;
    const Send send{other, {&mine, 1, DType::kInt64}};
    const Receive receive{other, {&theirs, 1, DType::kInt64}};
    if (!asks) {
      all.exchange({}, {&receive, 1}, Traffic::kControl);
      mine = now();
      all.exchange({&send, 1}, {}, Traffic::kControl);
      continue;
    }
    const std::int64_t begin = now();
    all.exchange({&send, 1}, {}, Traffic::kControl);
    all.exchange({}, {&receive, 1}, Traffic::kControl);
    const std::int64_t took = now() - begin;
    // A clock that is set back meanwhile makes a round trip of nonsense.
    if (took < 0 || took >= least) continue;
    least = took;
    offset = static_cast<double>(theirs - begin) - static_cast<double>(took) / 2;
  }
  return {offset * kNanosecond, static_cast<double>(least) / 2 * kNanosecond};
}

}  // namespace trimtab
