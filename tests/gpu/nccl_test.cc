// SPDX-License-Identifier: Apache-2.0
//
// NCCL by the bodies that every communicator passes. Ranks take GPUs by turns; where there are fewer GPUs
// than ranks, NCCL refuses two ranks of one host on one of them, so that tests/gpu/run gives each rank a host
// of its own (NCCL_HOSTID). Sums of three and more floats are in NCCL's own order, hence the bodies that add
// up run with one and two ranks.
#include "runtime/nccl_communicator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <string>

#include "gpu/staged_communicator.h"
#include "runtime/communicator_conformance.h"
#include "runtime/mpi_communicator.h"
#include "runtime/mpi_test_main.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using namespace std::chrono_literals;

std::string no_gpu() {
  try {
    use_device(test_session().local_rank() % std::max(1, visible_devices()));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

constexpr std::int32_t kOne = 1;

std::unique_ptr<Communicator> everyone() {
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.begin(), members.end(), 0);
  return nccl_communicator(mpi_communicator(test_session(), members, "all", {.deadline = 60s}),
                           {.deadline = 60s});
}

class NcclConformance : public testing::TestWithParam<conformance::Check> {
 protected:
  void SetUp() override {
    if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(NcclConformance, HoldsForDeviceMemory) {
  const bool sums = std::string(GetParam().name).find("reduce") != std::string::npos;
  if (sums && test_session().size() > 2) GTEST_SKIP() << "sums are in NCCL's order";
  test::StagedCommunicator staged(everyone());
  GetParam().body(staged);
}

// Host memory goes the way of MPI.
TEST_P(NcclConformance, HoldsForHostMemory) { GetParam().body(*everyone()); }

INSTANTIATE_TEST_SUITE_P(Ranks, NcclConformance, testing::ValuesIn(conformance::kChecks),
                         [](const auto& tested) { return std::string(tested.param.name); });

// In whatever order: each rank gets the same bits, which are near the sum.
TEST(Nccl, SumsAreTheSameOnAllRanks) {
  if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
  test::StagedCommunicator staged(everyone());
  constexpr std::int64_t kCount = 20'011;
  std::vector<float> mine(kCount), every(kCount * static_cast<std::size_t>(staged.size()));
  for (std::int64_t i = 0; i < kCount; ++i)
    mine[static_cast<std::size_t>(i)] =
        static_cast<float>(conformance::value(staged.rank(), i, DType::kFloat32));
  staged.all_reduce({mine.data(), kCount, DType::kFloat32}, ReduceOp::kSum, Traffic::kGradient);
  staged.all_gather({mine.data(), kCount, DType::kFloat32},
                    {every.data(), kCount * staged.size(), DType::kFloat32}, Traffic::kControl);
  for (std::int64_t i = 0; i < kCount; ++i) {
    double sum = 0, size = 0;
    for (int rank = 0; rank < staged.size(); ++rank) {
      const double value = conformance::value(rank, i, DType::kFloat32);
      sum += value;
      size += std::abs(value);
      ASSERT_EQ(every[static_cast<std::size_t>(rank * kCount + i)], mine[static_cast<std::size_t>(i)]) << i;
    }
    ASSERT_NEAR(mine[static_cast<std::size_t>(i)], sum, 1e-6 * size) << i;
  }
}

// The world of a job on GPUs: along the axes by NCCL, all together by MPI.
TEST(Nccl, CarriesTheAxesOfAWorld) {
  if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
  const int ranks = test_session().size();
  World world =
      mpi_world(Mesh(1, ranks, 1), test_session(), {.deadline = 60s}, nccl_communicators({.deadline = 60s}));
  const test::DeviceCopy sum(ConstBuffer(&kOne, 1, DType::kInt32));
  world.along(Axis::kPipe).all_reduce(sum.all(), ReduceOp::kSum, Traffic::kTensor);
  std::int32_t found = 0;
  sum.back({&found, 1, DType::kInt32});
  EXPECT_EQ(found, ranks);
  world.all().barrier();
}

// Whoever waits for the device hears of a communicator that is no more, whichever it waits for.
TEST(Nccl, SettlingAsksAllCommunicatorsOfTheDevice) {
  if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
  World world = mpi_world(Mesh(1, test_session().size(), 1), test_session(), {.deadline = 60s},
                          nccl_communicators({.deadline = 60s}));
  world.along(Axis::kPipe).settle();
  world.along(Axis::kTensor).give_up();
  EXPECT_THAT([&] { world.along(Axis::kPipe).settle(); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("'tensor' was given up")));
  world.all().barrier();
}

// The device's part is queued while the host's is waited for.
TEST(Nccl, ExchangesBothKindsOfMemoryAtOnce) {
  if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
  const auto all = everyone();
  const int next = (all->rank() + 1) % all->size(), before = (all->rank() + all->size() - 1) % all->size();
  const auto mine = static_cast<std::int32_t>(all->rank());
  std::int32_t by_host = -1, by_device = -1;
  const test::DeviceCopy out(ConstBuffer(&mine, 1, DType::kInt32)),
      in(ConstBuffer(&by_device, 1, DType::kInt32));
  all->exchange(std::vector<Send>{{next, {&mine, 1, DType::kInt32}}, {next, out.all()}},
                std::vector<Receive>{{before, in.all()}, {before, {&by_host, 1, DType::kInt32}}},
                Traffic::kPipeline);
  in.back({&by_device, 1, DType::kInt32});
  EXPECT_EQ(by_host, before);
  EXPECT_EQ(by_device, before);
}

}  // namespace
}  // namespace trimtab
