// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_communicator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/communicator_conformance.h"
#include "runtime/mpi_test_main.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace std::chrono_literals;

std::unique_ptr<Communicator> everyone(const MpiOptions& options = {.deadline = 60s}) {
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.begin(), members.end(), 0);
  return mpi_communicator(test_session(), members, "all", options);
}

class MpiConformance : public testing::TestWithParam<conformance::Check> {};

TEST_P(MpiConformance, Holds) { GetParam().body(*everyone()); }

// Limits so small that every path is taken many times: messages in chunks that no element fits evenly,
// reductions in segments with an uneven end, headers without room.
TEST_P(MpiConformance, HoldsInChunksAndSegments) {
  GetParam().body(*everyone(
      {.deadline = 60s, .inline_bytes = 0, .small_bytes = 0, .segment_bytes = 5'000, .chunk_bytes = 701}));
}

TEST_P(MpiConformance, HoldsWhereEverythingIsSmall) {
  GetParam().body(*everyone({.deadline = 60s, .inline_bytes = 1 << 20, .small_bytes = 1 << 20}));
}

INSTANTIATE_TEST_SUITE_P(Ranks, MpiConformance, testing::ValuesIn(conformance::kChecks),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(MpiCommunicator, OfOneRankConforms) {
  for (const conformance::Check& check : conformance::kChecks) {
    SCOPED_TRACE(check.name);
    check.body(*mpi_communicator(test_session(), {test_session().rank()}, "self"));
  }
}

TEST(MpiCommunicator, MembersActInTheOrderOfTheirList) {
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.rbegin(), members.rend(), 0);
  const auto reversed = mpi_communicator(test_session(), members, "reversed", {.deadline = 60s});
  EXPECT_EQ(reversed->rank(), test_session().size() - 1 - test_session().rank());
  auto mine = static_cast<std::int32_t>(test_session().rank());
  std::vector<std::int32_t> every(members.size());
  reversed->all_gather({&mine, 1, DType::kInt32}, {every.data(), reversed->size(), DType::kInt32},
                       Traffic::kControl);
  EXPECT_EQ(every, std::vector<std::int32_t>(members.begin(), members.end()));
  for (const conformance::Check& check : conformance::kChecks)
    check.body(*mpi_communicator(test_session(), members, "reversed", {.deadline = 60s}));
}

TEST(MpiCommunicator, NanWinsFromAnyRank) {
  const auto all = everyone();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int culprit = 0; culprit < all->size(); ++culprit)
    for (const ReduceOp op : conformance::kOps) {
      float x[2] = {all->rank() == culprit ? nan : 1.0f, 2.0f};
      all->all_reduce({x, 2, DType::kFloat32}, op, Traffic::kControl);
      EXPECT_TRUE(std::isnan(x[0])) << culprit << " " << name_of(op);
      EXPECT_FALSE(std::isnan(x[1]));
    }
}

TEST(MpiCommunicator, RefusesImpossibleLists) {
  MpiSession& session = test_session();
  const int other = (session.rank() + 1) % session.size();
  EXPECT_THAT([&] { mpi_communicator(session, {other}, "x"); },
              ThrowsMessage<Error>(HasSubstr("is not a member of 'x'")));
  EXPECT_THAT(([&] {
                mpi_communicator(session, {session.rank(), session.rank()}, "x");
              }),
              ThrowsMessage<Error>(HasSubstr("distinct ranks below")));
  EXPECT_THAT(([&] {
                mpi_communicator(session, {session.rank(), session.size()}, "x");
              }),
              ThrowsMessage<Error>(HasSubstr("distinct ranks below")));
}

TEST(MpiSession, KnowsItsPlace) {
  const MpiSession& session = test_session();
  EXPECT_FALSE(session.host().empty());
  EXPECT_FALSE(MpiSession::library().empty());
  EXPECT_EQ(session.local_size(), session.size());  // one host
  EXPECT_EQ(session.local_rank(), session.rank());
  EXPECT_THAT([] { MpiSession second; }, ThrowsMessage<Error>(HasSubstr("a process has one session")));
}

// What this rank's end of a communicator throws.
template <typename Thrown>
std::string text_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Thrown& e) {
    return e.what();
  }
  return "nothing was thrown";
}

void reduce_one(Communicator& all, ReduceOp op = ReduceOp::kSum, Traffic traffic = Traffic::kTensor) {
  float x = 1;
  all.all_reduce({&x, 1, DType::kFloat32}, op, traffic);
}

TEST(MpiFailures, DifferentCallsThrowEverywhereWithBothNames) {
  const auto all = everyone();
  reduce_one(*all);
  const std::string text = text_of<CallMismatch>([&] {
    if (all->rank() == 1)
      all->all_gather({nullptr, 0, DType::kInt32}, {nullptr, 0, DType::kInt32}, Traffic::kControl);
    else
      reduce_one(*all);
  });
  if (all->rank() <= 1) {
    EXPECT_THAT(text, AllOf(HasSubstr("operation 1 on 'all'"), HasSubstr("all_gather of 0 int32 (control)"),
                            HasSubstr("all_reduce sum of 1 float32 (tensor)"), HasSubstr("rank 1 called")));
  }
  // The others met rank 1, too.
  EXPECT_THAT(text, HasSubstr("rank 1 called"));
  EXPECT_EQ(text_of<CallMismatch>([&] { all->barrier(); }), text) << "a failure is final";
}

TEST(MpiFailures, DifferentArgumentsThrow) {
  std::vector<float> x(10'000);
  const auto is_first = [](Communicator& all) { return all.rank() == 0; };
  const std::vector<std::function<void(Communicator&)>> calls = {
      [&](Communicator& all) {
        all.all_reduce({x.data(), is_first(all) ? 1 : 2, DType::kFloat32}, ReduceOp::kSum, Traffic::kTensor);
      },
      [&](Communicator& all) {
        all.all_reduce({x.data(), is_first(all) ? 9'999 : 10'000, DType::kFloat32}, ReduceOp::kSum,
                       Traffic::kTensor);
      },
      [&](Communicator& all) {
        all.all_reduce({x.data(), is_first(all) ? 1 : 10'000, DType::kFloat32}, ReduceOp::kSum,
                       Traffic::kTensor);
      },
      [&](Communicator& all) {
        all.all_reduce({x.data(), 1, is_first(all) ? DType::kInt32 : DType::kFloat32}, ReduceOp::kSum,
                       Traffic::kTensor);
      },
      [&](Communicator& all) { reduce_one(all, is_first(all) ? ReduceOp::kSum : ReduceOp::kMax); },
      [&](Communicator& all) {
        reduce_one(all, ReduceOp::kSum, is_first(all) ? Traffic::kTensor : Traffic::kControl);
      },
      [&](Communicator& all) {
        // As many elements in all, and as many that ranks 0 and 1 give each other.
        std::vector<std::int64_t> counts(static_cast<std::size_t>(all.size()), 4);
        counts[0] += is_first(all) ? 1 : 0;
        counts.back() += is_first(all) ? 0 : 1;
        const Parts parts(counts);
        all.reduce_scatter({x.data(), parts.total(), DType::kFloat32},
                           {x.data() + 5'000, parts.count(all.rank()), DType::kFloat32}, parts,
                           ReduceOp::kSum, Traffic::kTensor);
      },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto all = everyone();
    const std::string text = text_of<CallMismatch>([&] { calls[i](*all); });
    EXPECT_THAT(text, AllOf(HasSubstr("rank 0 called"), HasSubstr("operation 0 on 'all'"))) << i;
  }
}

TEST(MpiFailures, MessagesThatDoNotMatchThrowWhereTheyArrive) {
  const auto all = everyone();
  float x[2] = {};
  if (all->rank() == 0) {
    const Send send = {1, {x, 2, DType::kFloat32}};
    all->exchange({&send, 1}, {}, Traffic::kPipeline);
  } else if (all->rank() == 1) {
    const Receive receive = {0, {x, 1, DType::kFloat32}};
    EXPECT_THAT(text_of<CallMismatch>([&] {
                  all->exchange({}, {&receive, 1}, Traffic::kPipeline);
                }),
                HasSubstr("rank 0 sent 2 float32, but rank 1 receives 1 float32"));
  }
  const Send to_itself = {all->rank(), {x, 2, DType::kFloat32}};
  const Receive from_itself = {all->rank(), {x, 1, DType::kFloat32}};
  EXPECT_THAT(text_of<CallMismatch>([&] {
                everyone()->exchange({&to_itself, 1}, {&from_itself, 1}, Traffic::kPipeline);
              }),
              HasSubstr("sent 2 float32, but rank"));
}

TEST(MpiFailures, CommunicatorsInAnotherOrderThrow) {
  const bool first = test_session().rank() == 0;
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.begin(), members.end(), 0);
  const auto one = mpi_communicator(test_session(), members, first ? "data" : "pipe", {.deadline = 60s});
  const std::string text = text_of<CallMismatch>([&] { reduce_one(*one); });
  if (first) {
    EXPECT_THAT(text, HasSubstr("the same ones in the same order"));
  }
}

TEST(MpiFailures, DeadlineNamesCallCommunicatorAndWhoIsMissing) {
  const auto all = everyone({.deadline = 30ms});
  const int last = all->size() - 1;
  if (all->rank() != last) {
    const std::string text = text_of<DeadlineExceeded>([&] { reduce_one(*all); });
    EXPECT_THAT(
        text, AllOf(HasSubstr(fmt::format(
                        "rank {}, operation 0 on 'all', all_reduce sum of 1 float32 (tensor)", all->rank())),
                    HasSubstr("waited 30 ms for ranks"), HasSubstr(fmt::format("{}, which have not", last))));
  }
  everyone()->barrier();  // on another communicator, which still works
}

TEST(MpiFailures, DeadlineOfAnExchangeNamesIt) {
  const auto all = everyone({.deadline = 30ms});
  if (all->rank() == 0) {
    float x = 0;
    const Receive receive = {1, {&x, 1, DType::kFloat32}};
    EXPECT_THAT(text_of<DeadlineExceeded>([&] {
                  all->exchange({}, {&receive, 1}, Traffic::kPipeline);
                }),
                AllOf(HasSubstr("exchange on 'all' of 0 sends and 1 receives (pipeline)"),
                      HasSubstr("for ranks 1, which have not arrived")));
  }
  everyone()->barrier();
}

// A message that MPI does not buffer is not done until it is taken, so unfused sends deadlock, and the
// deadline says so.
TEST(MpiFailures, UnfusedLargeSendsDeadlock) {
  const auto all = everyone({.deadline = 50ms});
  std::vector<float> x(1'000'000);
  std::vector<float> y(1'000'000);
  const int peer = all->rank() ^ 1;
  if (peer < all->size()) {
    const Send send = {peer, {x.data(), 1'000'000, DType::kFloat32}};
    EXPECT_THAT(text_of<DeadlineExceeded>([&] {
                  all->exchange({&send, 1}, {}, Traffic::kPipeline);
                }),
                HasSubstr("of 1 sends and 0 receives"));
  }
  everyone()->barrier();
}

TEST(MpiWorld, RanksMeetOnlyAlongTheirAxes) {
  const int ranks = test_session().size();
  for (const Mesh& mesh :
       {Mesh(ranks, 1, 1), Mesh(1, ranks, 1), Mesh(1, 1, ranks), Mesh(2, 1, 2), Mesh(1, 2, 2)}) {
    if (mesh.size() != ranks) continue;
    World world = mpi_world(mesh, test_session(), {.deadline = 60s});
    EXPECT_EQ(world.rank(), test_session().rank());
    for (const Axis axis : kAxes) {
      auto sum = static_cast<std::int32_t>(world.rank());
      world.along(axis).all_reduce({&sum, 1, DType::kInt32}, ReduceOp::kSum, Traffic::kTensor);
      std::int32_t expected = 0;
      for (const int member : mesh.group(world.rank(), axis)) expected += member;
      EXPECT_EQ(sum, expected) << mesh.text();
      EXPECT_EQ(world.along(axis).rank(), world.here().along(axis));
    }
    std::int32_t everyone_there = 1;
    world.all().all_reduce({&everyone_there, 1, DType::kInt32}, ReduceOp::kSum, Traffic::kControl);
    EXPECT_EQ(everyone_there, ranks);
  }
}

// The same calls on a mesh of threads and on one of processes give the same bits.
TEST(MpiWorld, HasTheBitsOfThreads) {
  if (test_session().size() != 4) return;  // the mesh has four ranks; the other numbers are covered above
  const Mesh mesh(2, 1, 2);
  const auto work = [](World& world) {
    std::vector<float> x;
    for (int i = 0; i < 30'011; ++i)
      x.push_back(static_cast<float>(conformance::value(world.rank(), i, DType::kFloat32)));
    const Buffer buffer = {x.data(), static_cast<std::int64_t>(x.size()), DType::kFloat32};
    for (const Axis axis : kAxes) world.along(axis).all_reduce(buffer, ReduceOp::kSum, Traffic::kTensor);
    world.all().all_reduce(buffer, ReduceOp::kSum, Traffic::kGradient);
    return x;
  };
  std::vector<float> of_threads;
  run_ranks(mesh, [&](World& world) {
    const std::vector<float> mine = work(world);
    if (world.rank() == test_session().rank()) of_threads = mine;
  });
  World world = mpi_world(mesh, test_session(), {.deadline = 60s});
  const std::vector<float> of_processes = work(world);
  ASSERT_EQ(of_processes.size(), of_threads.size());
  EXPECT_EQ(std::memcmp(of_processes.data(), of_threads.data(), of_threads.size() * sizeof(float)), 0);
  EXPECT_EQ(world.traffic()[Traffic::kGradient].bytes, 30'011 * 4);
}

TEST(MpiWorld, MeshThatIsNotTheJobIsRefusedWithTheRemedy) {
  const int ranks = test_session().size();
  EXPECT_THAT([&] { mpi_world(Mesh(ranks + 1, 1, 1), test_session()); },
              ThrowsMessage<ConfigError>(
                  AllOf(HasSubstr(fmt::format("needs {} ranks, but this job has {}", ranks + 1, ranks)),
                        HasSubstr(fmt::format("set mesh.data to {}", ranks)))));
}

TEST(MpiWorld, MeshesThatDifferBetweenRanksAreRefusedEverywhere) {
  const int ranks = test_session().size();
  const Mesh mine = test_session().rank() == 1 ? Mesh(1, ranks, 1) : Mesh(ranks, 1, 1);
  EXPECT_THAT(
      [&] { mpi_world(mine, test_session()); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("rank 1 was given the mesh"), HasSubstr("but rank 0"))));
}

TEST(MpiWorld, DeviceMakerGetsTheAxesAndNotAll) {
  const int ranks = test_session().size();
  std::vector<std::string> wrapped;
  World world = mpi_world(Mesh(1, ranks, 1), test_session(), {.deadline = 60s},
                          [&](std::unique_ptr<Communicator> control) {
                            wrapped.push_back(fmt::format("{} {}", control->name(), control->size()));
                            return control;
                          });
  EXPECT_THAT(wrapped, testing::ElementsAre("data 1", fmt::format("pipe {}", ranks), "tensor 1"));
}

}  // namespace
}  // namespace trimtab
