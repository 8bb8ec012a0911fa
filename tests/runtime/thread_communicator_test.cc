// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_communicator.h"

#include <gmock/gmock.h>

#include <chrono>
#include <functional>

#include "runtime/communicator_conformance.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace std::chrono_literals;

class ThreadConformance : public testing::TestWithParam<std::tuple<int, conformance::Check>> {};

TEST_P(ThreadConformance, Holds) {
  const auto& [ranks, check] = GetParam();
  run_ranks(Mesh(ranks, 1, 1), [&](World& world) { check.body(world.along(Axis::kData)); });
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadConformance,
                         testing::Combine(testing::Values(2, 3, 4), testing::ValuesIn(conformance::kChecks)),
                         [](const auto& tested) {
                           return fmt::format("{}_on_{}", std::get<1>(tested.param).name,
                                              std::get<0>(tested.param));
                         });

// A group of one thread-rank is a communicator like the others, too.
TEST(ThreadGroup, OfOneRankConforms) {
  for (const conformance::Check& check : conformance::kChecks) {
    SCOPED_TRACE(check.name);
    ThreadGroup group(1);
    check.body(*group.communicator(0, {0}, "all"));
  }
}

TEST(ThreadGroup, MembersActInTheOrderOfTheirList) {
  ThreadGroup group(3);
  const auto second = group.communicator(2, {2, 0}, "pair");
  const auto first = group.communicator(0, {2, 0}, "pair");
  EXPECT_EQ(second->rank(), 0);
  EXPECT_EQ(first->rank(), 1);
  EXPECT_EQ(first->size(), 2);
}

TEST(ThreadGroup, RefusesImpossibleLists) {
  EXPECT_THROW(ThreadGroup(0), Error);
  ThreadGroup group(2);
  EXPECT_THAT([&] { group.communicator(1, {0}, "x"); },
              ThrowsMessage<Error>(HasSubstr("rank 1 is not a member of 'x'")));
  EXPECT_THAT(
      [&] {
        group.communicator(0, {0, 0}, "x");
      },
      ThrowsMessage<Error>(HasSubstr("distinct ranks below 2")));
  EXPECT_THAT(
      [&] {
        group.communicator(0, {0, 2}, "x");
      },
      ThrowsMessage<Error>(HasSubstr("distinct ranks below 2")));
  EXPECT_THAT([&] { group.communicator(0, {}, "x"); }, ThrowsMessage<Error>(HasSubstr("not a member")));
}

// Runs `body` on n ranks and expects that each of them throws; returns the texts.
template <typename Thrown>
std::vector<std::string> all_throw(int ranks, const std::function<void(Communicator&)>& body,
                                   std::chrono::milliseconds deadline = kThreadDeadline) {
  std::vector<std::string> texts(static_cast<std::size_t>(ranks));
  run_ranks(
      Mesh(ranks, 1, 1),
      [&](World& world) {
        try {
          body(world.all());
        } catch (const Thrown& e) {
          texts[static_cast<std::size_t>(world.rank())] = e.what();
        }
      },
      deadline);
  return texts;
}

void reduce_one(Communicator& all, ReduceOp op = ReduceOp::kSum, Traffic traffic = Traffic::kTensor) {
  float x = 1;
  all.all_reduce({&x, 1, DType::kFloat32}, op, traffic);
}

TEST(ThreadFailures, DifferentCallsThrowEverywhereWithBothNames) {
  const auto texts = all_throw<CallMismatch>(3, [](Communicator& all) {
    reduce_one(all);
    if (all.rank() == 1)
      all.barrier();
    else
      reduce_one(all);
  });
  for (const std::string& text : texts)
    EXPECT_THAT(text, AllOf(HasSubstr("operation 1 on 'all'"), HasSubstr("barrier (control)"),
                            HasSubstr("all_reduce sum of 1 float32 (tensor)"), HasSubstr("rank 1 called")));
}

TEST(ThreadFailures, DifferentArgumentsThrowEverywhere) {
  float x[4] = {};
  const std::vector<std::function<void(Communicator&)>> calls = {
      [&](Communicator& all) {
        all.all_reduce({x, 1 + all.rank(), DType::kFloat32}, ReduceOp::kSum, Traffic::kTensor);
      },
      [&](Communicator& all) {
        all.all_reduce({x, 1, all.rank() ? DType::kInt32 : DType::kFloat32}, ReduceOp::kSum,
                       Traffic::kTensor);
      },
      [&](Communicator& all) { reduce_one(all, all.rank() ? ReduceOp::kSum : ReduceOp::kMax); },
      [&](Communicator& all) {
        const Parts parts = all.rank() == 0 ? Parts({2, 1}) : Parts({1, 2});
        float part[2] = {};
        all.all_gather({part, 2, DType::kFloat32}, {x, 3, DType::kFloat32}, parts, Traffic::kTensor);
      },
      [&](Communicator& all) {
        reduce_one(all, ReduceOp::kSum, all.rank() ? Traffic::kTensor : Traffic::kControl);
      },
      [&](Communicator& all) {
        all.broadcast({x, 1, DType::kFloat32}, all.rank(), Traffic::kTensor);
      },
  };
  for (const auto& call : calls)
    for (const std::string& text : all_throw<CallMismatch>(2, call))
      EXPECT_THAT(text, AllOf(HasSubstr("rank 0 called"), HasSubstr("rank 1 called")));
}

TEST(ThreadFailures, MessagesThatDoNotMatchThrowOnBothSides) {
  const auto texts = all_throw<CallMismatch>(2, [](Communicator& all) {
    float x[2] = {};
    const Send send = {1, {x, 2, DType::kFloat32}};
    const Receive receive = {0, {x, 1, DType::kFloat32}};
    if (all.rank() == 0)
      all.exchange({&send, 1}, {}, Traffic::kPipeline);
    else
      all.exchange({}, {&receive, 1}, Traffic::kPipeline);
  });
  for (const std::string& text : texts)
    EXPECT_THAT(text, HasSubstr("rank 0 sent 2 float32, but rank 1 receives 1 float32"));
}

TEST(ThreadFailures, AThrowingPeerEndsTheWaitOfTheOthersByName) {
  std::vector<std::string> texts(3);
  std::vector<int> failed(3, -1);
  const auto body = [&](World& world) {
    const auto here = static_cast<std::size_t>(world.rank());
    reduce_one(world.all());
    if (world.rank() == 1) fail("the disk is full");
    try {
      reduce_one(world.all());
    } catch (const PeerFailure& e) {
      texts[here] = e.what();
      failed[here] = e.rank();
      throw;
    }
  };
  EXPECT_THAT([&] { run_ranks(Mesh(3, 1, 1), body); },
              ThrowsMessage<RankFailure>(HasSubstr("rank 1: the disk is full")));
  for (const std::size_t rank : {0u, 2u}) {
    EXPECT_EQ(failed[rank], 1);
    EXPECT_THAT(texts[rank], AllOf(HasSubstr(fmt::format("rank {}, operation 1 on 'all'", rank)),
                                   HasSubstr("rank 1 failed: the disk is full")));
  }
}

TEST(ThreadFailures, AThrowingPeerEndsAnExchangeToo) {
  const auto body = [](World& world) {
    if (world.rank() == 0) fail("no memory");
    float x = 0;
    const Send send = {0, {&x, 1, DType::kFloat32}};
    EXPECT_THROW(world.all().exchange({&send, 1}, {}, Traffic::kPipeline), PeerFailure);
    EXPECT_THROW(world.all().barrier(), PeerFailure);
  };
  EXPECT_THAT([&] { run_ranks(Mesh(2, 1, 1), body); },
              ThrowsMessage<RankFailure>(HasSubstr("rank 0: no memory")));
}

TEST(ThreadFailures, AFailureReachesOtherCommunicators) {
  const auto body = [](World& world) {
    // Rank 3 fails; ranks 0 and 1 share no pipe or data group with each other, but all with it through `all`.
    if (world.rank() == 3) fail("lost");
    EXPECT_THROW(
        {
          reduce_one(world.along(Axis::kTensor));
          world.all().barrier();
        },
        PeerFailure);
  };
  EXPECT_THAT([&] { run_ranks(Mesh(2, 1, 2), body); }, ThrowsMessage<RankFailure>(HasSubstr("rank 3: lost")));
}

TEST(ThreadFailures, APeerThatIsDoneFailsTheWaitAtOnce) {
  const auto body = [](World& world) {
    if (world.rank() != 2) world.all().barrier();
  };
  EXPECT_THAT([&] { run_ranks(Mesh(3, 1, 1), body); },
              ThrowsMessage<RankFailure>(
                  AllOf(HasSubstr("barrier (control)"), HasSubstr("rank 2 failed: its work"))));
}

// All ranks are inside a wait that can never end, so only the deadline gets them out.
TEST(ThreadFailures, DeadlineNamesWhoHasNotArrivedAndWhere) {
  const auto body = [](World& world) {
    reduce_one(world.along(Axis::kData));
    if (world.rank() == 0)
      reduce_one(world.along(Axis::kData));
    else
      world.all().barrier();
  };
  EXPECT_THAT([&] { run_ranks(Mesh(3, 1, 1), body, 20ms); },
              ThrowsMessage<RankFailure>(AllOf(HasSubstr("waited 20 ms for ranks"),
                                               HasSubstr("have not arrived"), HasSubstr("operation"))));
}

TEST(ThreadFailures, DeadlineIsTypedAndListsTheMissingRanks) {
  ThreadGroup group(3, 1ms);
  const auto first = group.communicator(1, {0, 1, 2}, "all");
  EXPECT_THAT([&] { first->barrier(); },
              ThrowsMessage<DeadlineExceeded>(
                  AllOf(HasSubstr("rank 1, operation 0 on 'all', barrier (control)"),
                        HasSubstr("waited 1 ms for ranks 0, 2, which have not arrived"))));
  EXPECT_EQ(group.failed_rank(), 1);
  const auto second = group.communicator(0, {0, 1, 2}, "all");
  EXPECT_THAT([&] { second->barrier(); }, ThrowsMessage<PeerFailure>(HasSubstr("rank 1 failed")));
}

// Two neighbours that both send before they receive deadlock unless the two are fused in one exchange.
TEST(ThreadFailures, UnfusedSendsDeadlockAsBetweenProcesses) {
  const auto body = [](bool fused) {
    return [fused](World& world) {
      const int peer = 1 - world.rank();
      float x = static_cast<float>(world.rank());
      float y = -1;
      const Send send = {peer, {&x, 1, DType::kFloat32}};
      const Receive receive = {peer, {&y, 1, DType::kFloat32}};
      if (fused) {
        world.all().exchange({&send, 1}, {&receive, 1}, Traffic::kPipeline);
      } else {
        world.all().exchange({&send, 1}, {}, Traffic::kPipeline);
        world.all().exchange({}, {&receive, 1}, Traffic::kPipeline);
      }
      EXPECT_EQ(y, static_cast<float>(peer));
    };
  };
  EXPECT_NO_THROW(run_ranks(Mesh(2, 1, 1), body(true)));
  EXPECT_THAT(
      [&] { run_ranks(Mesh(2, 1, 1), body(false), 20ms); },
      ThrowsMessage<RankFailure>(HasSubstr("exchange on 'all' of 1 sends and 0 receives (pipeline)")));
}

// Rank 0 lists rank 1 first, but rank 1 can send only after rank 2 is through with rank 0.
TEST(ThreadExchange, TakesWhateverArrivesFirst) {
  run_ranks(Mesh(3, 1, 1), [](World& world) {
    Communicator& all = world.all();
    std::int32_t a = 0;
    std::int32_t b = 0;
    const auto receive = [](int from, std::int32_t& into) {
      return Receive{from, {&into, 1, DType::kInt32}};
    };
    const auto send = [](int to, std::int32_t& what) { return Send{to, {&what, 1, DType::kInt32}}; };
    if (all.rank() == 0) {
      const Receive both[] = {receive(1, a), receive(2, b)};
      all.exchange({}, both, Traffic::kPipeline);
      EXPECT_EQ(a, 12);
      EXPECT_EQ(b, 2);
    } else if (all.rank() == 1) {
      const Receive from = receive(2, a);
      all.exchange({}, {&from, 1}, Traffic::kPipeline);
      a += 10;
      const Send to = send(0, a);
      all.exchange({&to, 1}, {}, Traffic::kPipeline);
    } else {
      a = 2;
      const Send first = send(0, a);
      all.exchange({&first, 1}, {}, Traffic::kPipeline);
      const Send second = send(1, a);
      all.exchange({&second, 1}, {}, Traffic::kPipeline);
    }
  });
}

}  // namespace
}  // namespace trimtab
