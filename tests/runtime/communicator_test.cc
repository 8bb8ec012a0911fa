// SPDX-License-Identifier: Apache-2.0
#include "runtime/communicator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "runtime/communicator_conformance.h"
#include "runtime/reduce.h"
#include "runtime/solo_communicator.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class SoloConformance : public testing::TestWithParam<conformance::Check> {};

TEST_P(SoloConformance, Holds) {
  SoloCommunicator solo("tensor", 5);
  GetParam().body(solo);
}

INSTANTIATE_TEST_SUITE_P(Solo, SoloConformance, testing::ValuesIn(conformance::kChecks),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(SoloCommunicator, KnowsItsPlace) {
  const SoloCommunicator solo("tensor", 5);
  EXPECT_EQ(solo.name(), "tensor");
  EXPECT_EQ(solo.rank(), 0);
  EXPECT_EQ(solo.size(), 1);
  EXPECT_THAT(solo.members(), ElementsAre(5));
}

// As one of a device: has something queued, and looks at what a watchdog sees while it waits for it.
class Queueing : public SoloCommunicator {
 public:
  explicit Queueing(const Activity& activity) : SoloCommunicator("pipe"), activity_(activity) {}
  bool queued = true;
  bool gave_up = false;
  Activity::Snapshot seen;

 private:
  bool has_queued() const override { return queued; }
  void do_settle() override { seen = activity_.snapshot(); }
  void do_give_up() override { gave_up = true; }

  const Activity& activity_;
};

TEST(Communicator, IsSeenToWaitWhileItSettles) {
  Activity activity;
  Queueing device(activity);
  device.note_in(activity);
  device.settle();
  EXPECT_TRUE(device.seen.waiting);
  ASSERT_FALSE(device.seen.operations.empty());
  EXPECT_EQ(device.seen.operations.back().text(), "0 settle of 0 bytes on 'pipe' (control)");
  EXPECT_FALSE(activity.snapshot().waiting);
  device.queued = false;
  device.settle();
  EXPECT_EQ(activity.snapshot().operations.size(), 1u) << "nothing queued, nothing noted";
  EXPECT_FALSE(device.gave_up);
  device.give_up();
  EXPECT_TRUE(device.gave_up);
}

TEST(SoloCommunicator, RefusesMessagesToItselfThatDoNotMatch) {
  SoloCommunicator solo("pipe");
  float x[2] = {1, 2};
  float y[2] = {};
  const Send send = {0, {x, 2, DType::kFloat32}};
  const Receive receive = {0, {y, 1, DType::kFloat32}};
  EXPECT_THAT(
      [&] {
        solo.exchange({&send, 1}, {&receive, 1}, Traffic::kPipeline);
      },
      ThrowsMessage<Error>(HasSubstr("is 2 float32, but 1 float32 are received")));
}

TEST(Communicator, RefusesMemoryOfAnotherDevice) {
  SoloCommunicator solo("tensor");
  float x = 1;
  EXPECT_THAT(
      [&] {
        solo.all_reduce({&x, 1, DType::kFloat32, DeviceKind::kCuda}, ReduceOp::kSum, Traffic::kTensor);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("the buffer is CUDA memory"), HasSubstr("moves host memory"))));
}

TEST(PeerFailure, NamesRankReasonAndPlace) {
  const PeerFailure failure(3, "out of memory", "rank 1 in all_reduce");
  EXPECT_EQ(failure.rank(), 3);
  EXPECT_EQ(failure.reason(), "out of memory");
  EXPECT_STREQ(failure.what(), "rank 1 in all_reduce: rank 3 failed: out of memory");
}

TEST(Reduce, NotANumberWinsInMaxAndMinWhereverItIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float a[3] = {nan, 1, 1};
  const float b[3] = {1, nan, 2};
  const void* const parts[] = {a, b};
  for (const ReduceOp op : {ReduceOp::kMax, ReduceOp::kMin}) {
    float result[3];
    void* const outs[] = {result};
    reduce_in_order(parts, outs, 0, 3, DType::kFloat32, op);
    EXPECT_TRUE(std::isnan(result[0]));
    EXPECT_TRUE(std::isnan(result[1]));
    EXPECT_EQ(result[2], op == ReduceOp::kMax ? 2 : 1);
  }
}

TEST(Reduce, BFloat16SumsAreRoundedOnce) {
  // 1 + 2^-8 is a tie that bfloat16 rounds to 1: rounding after each addition would never leave 1.
  const std::uint16_t one = float_to_bfloat16(1.0f);
  const std::uint16_t small = float_to_bfloat16(std::ldexp(1.0f, -8));
  const void* const parts[] = {&one, &small, &small, &small, &small};
  std::uint16_t result = 0;
  void* const outs[] = {&result};
  reduce_in_order(parts, outs, 0, 1, DType::kBFloat16, ReduceOp::kSum);
  EXPECT_EQ(bfloat16_to_float(result), 1.0f + std::ldexp(1.0f, -6));
}

TEST(Reduce, TouchesOnlyItsRangeAndIntegersWrap) {
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const std::int32_t a[4] = {1, 2, most, 4};
  const std::int32_t b[4] = {1, 1, 1, 1};
  const void* const parts[] = {a, b};
  std::int32_t result[4] = {};
  void* const outs[] = {result};
  reduce_in_order(parts, outs, 1, 2, DType::kInt32, ReduceOp::kSum);
  EXPECT_THAT(result, ElementsAre(0, 3, std::numeric_limits<std::int32_t>::min(), 0));
}

}  // namespace
}  // namespace trimtab
