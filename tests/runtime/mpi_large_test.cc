// SPDX-License-Identifier: Apache-2.0
//
// Buffers whose counts do not fit into MPI's int: 2^31 + 11 bfloat16, 4 GiB on each of two ranks.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "experiments/machine.h"
#include "runtime/mpi_communicator.h"
#include "runtime/mpi_test_main.h"

namespace trimtab {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kCount = (std::int64_t{1} << 31) + 11;
static_assert(kCount > std::numeric_limits<int>::max());

// Both buffers, what MPI keeps of them on the way, and room for the machine.
constexpr std::int64_t kNeeded = std::int64_t{14} << 30;

std::unique_ptr<Communicator> everyone() {
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.begin(), members.end(), 0);
  return mpi_communicator(test_session(), members, "all", {.deadline = 100s});
}

// Whole numbers that bfloat16 holds, as their sums of two are; the cycle divides no power of two, so that no
// chunk equals the next.
constexpr std::int64_t kCycle = 97;
std::uint16_t element(int rank, std::int64_t i) {
  return float_to_bfloat16(static_cast<float>(i % kCycle + 100 * rank) - 48.0f);
}

using Values = std::vector<std::uint16_t>;

Buffer buffer_of(Values& values) {
  return {values.data(), static_cast<std::int64_t>(values.size()), DType::kBFloat16};
}

// What `at` makes of the indices, over and over.
template <typename At>
Values cycle_of(const At& at) {
  Values cycle;
  for (std::int64_t i = 0; i < kCycle; ++i) cycle.push_back(at(i));
  return cycle;
}

// The first element that is not what `expected` makes of its index; -1: none.
template <typename Expected>
std::int64_t first_wrong(const Values& values, const Expected& expected) {
  const Values cycle = cycle_of(expected);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != cycle[i % cycle.size()]) return static_cast<std::int64_t>(i);
  return -1;
}

class MpiBeyondInt : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers keep too much beside each byte";
#endif
    all_ = everyone();
    ASSERT_EQ(all_->size(), 2) << "what is expected is the sum of two";
    all_->barrier();  // nobody holds the buffers of the test before
    auto room = static_cast<std::int64_t>(available_memory());
    all_->all_reduce({&room, 1, DType::kInt64}, ReduceOp::kMin, Traffic::kControl);  // all decide alike
    if (room < kNeeded)
      GTEST_SKIP() << "needs " << (kNeeded >> 30) << " GiB of memory, " << (room >> 30) << " are available";
    values_.resize(static_cast<std::size_t>(kCount));
    const Values cycle = cycle_of([&](std::int64_t i) { return element(all_->rank(), i); });
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = cycle[i % cycle.size()];
  }

  std::unique_ptr<Communicator> all_;
  Values values_;
};

TEST_F(MpiBeyondInt, AllReduceSums) {
  all_->all_reduce(buffer_of(values_), ReduceOp::kSum, Traffic::kGradient);
  const auto sum = [](std::int64_t i) {
    return float_to_bfloat16(bfloat16_to_float(element(0, i)) + bfloat16_to_float(element(1, i)));
  };
  EXPECT_EQ(first_wrong(values_, sum), -1);
  EXPECT_EQ(all_->counters()[Traffic::kGradient].bytes, 2 * kCount);
}

TEST_F(MpiBeyondInt, BroadcastArrives) {
  all_->broadcast(buffer_of(values_), 1, Traffic::kTensor);
  EXPECT_EQ(first_wrong(values_, [](std::int64_t i) { return element(1, i); }), -1);
}

TEST_F(MpiBeyondInt, ExchangeArrives) {
  const Buffer whole = buffer_of(values_);
  if (all_->rank() == 0)
    all_->exchange(std::vector<Send>{{1, whole}}, {}, Traffic::kPipeline);
  else
    all_->exchange({}, std::vector<Receive>{{0, whole}}, Traffic::kPipeline);
  EXPECT_EQ(first_wrong(values_, [](std::int64_t i) { return element(0, i); }), -1);
}

}  // namespace
}  // namespace trimtab
