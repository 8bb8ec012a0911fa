// SPDX-License-Identifier: Apache-2.0
//
// What every communicator must do, written once: each body is run by all members of a communicator together,
// and checks on each of them, so a result that is right has the same bits on every rank.
#pragma once

#include <gmock/gmock.h>

#include <ostream>
#include <string>

#include "runtime/conformance_values.h"

namespace trimtab::conformance {

using Body = std::function<void(Communicator&, DType, std::int64_t count)>;

inline void for_all_sizes(Communicator& on, const Body& body) {
  for (const DType dtype : kTypes)
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(fmt::format("{} {} on rank {} of {}", count, name_of(dtype), on.rank(), on.size()));
      body(on, dtype, count);
    }
}

inline void all_reduce(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    for (const ReduceOp op : kOps) {
      Elements mine = own_values(on, dtype, count);
      on.all_reduce(mine.all(), op, Traffic::kTensor);
      const Elements expected =
          filled(dtype, count, [&](auto i) { return reduced(on.size(), i, dtype, op); });
      EXPECT_TRUE(mine == expected) << name_of(op);
    }
  });
}

inline void reduce_scatter(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    const std::int64_t begin = on.rank() * count;
    for (const ReduceOp op : kOps) {
      const auto result = [&](auto i) { return reduced(on.size(), begin + i, dtype, op); };
      const Elements expected = filled(dtype, count, result);

      Elements in = own_values(on, dtype, count * on.size());
      const Elements before = in;
      Elements out(dtype, count);
      on.reduce_scatter(in.all(), out.all(), op, Traffic::kTensor);
      EXPECT_TRUE(out == expected) << name_of(op);
      EXPECT_TRUE(in == before) << name_of(op);

      on.reduce_scatter(in.all(), in.part(begin, count), op, Traffic::kTensor);
      Elements part(dtype, count);
      if (count > 0) std::memcpy(part.at(0), in.at(begin), part.all().bytes());
      EXPECT_TRUE(part == expected) << name_of(op) << " in place";
    }
  });
}

inline void all_gather(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    const auto result = [&](std::int64_t i) { return value(static_cast<int>(i / count), i % count, dtype); };
    const Elements expected = filled(dtype, count * on.size(), result);

    Elements in = own_values(on, dtype, count);
    Elements out(dtype, count * on.size());
    on.all_gather(in.all(), out.all(), Traffic::kTensor);
    EXPECT_TRUE(out == expected);

    Elements both(dtype, count * on.size());
    const std::int64_t begin = on.rank() * count;
    for (std::int64_t i = 0; i < count; ++i) both.set(begin + i, value(on.rank(), i, dtype));
    on.all_gather(both.part(begin, count), both.all(), Traffic::kTensor);
    EXPECT_TRUE(both == expected) << "in place";
  });
}

// Some ranks have nothing, and those that have something not as much as others.
inline Parts uneven_parts(const Communicator& on, std::int64_t count) {
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < on.size(); ++rank) counts.push_back(rank % 3 == 1 ? 0 : count + 2 * rank);
  return Parts(counts);
}

inline void reduce_scatter_of_uneven_parts(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    const Parts parts = uneven_parts(on, count);
    const std::int64_t begin = parts.begin(on.rank()), own = parts.count(on.rank());
    for (const ReduceOp op : kOps) {
      const Elements expected =
          filled(dtype, own, [&](auto i) { return reduced(on.size(), begin + i, dtype, op); });
      Elements in = own_values(on, dtype, parts.total());
      const Elements before = in;
      Elements out(dtype, own);
      on.reduce_scatter(in.all(), out.all(), parts, op, Traffic::kTensor);
      EXPECT_TRUE(out == expected) << name_of(op);
      EXPECT_TRUE(in == before) << name_of(op);

      on.reduce_scatter(in.all(), in.part(begin, own), parts, op, Traffic::kTensor);
      Elements part(dtype, own);
      if (own > 0) std::memcpy(part.at(0), in.at(begin), part.all().bytes());
      EXPECT_TRUE(part == expected) << name_of(op) << " in place";
    }
  });
}

inline void all_gather_of_uneven_parts(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    const Parts parts = uneven_parts(on, count);
    Elements expected(dtype, parts.total());
    for (int rank = 0; rank < on.size(); ++rank)
      for (std::int64_t i = 0; i < parts.count(rank); ++i)
        expected.set(parts.begin(rank) + i, value(rank, i, dtype));

    const std::int64_t begin = parts.begin(on.rank()), own = parts.count(on.rank());
    Elements in = own_values(on, dtype, own);
    Elements out(dtype, parts.total());
    on.all_gather(in.all(), out.all(), parts, Traffic::kTensor);
    EXPECT_TRUE(out == expected);

    Elements both(dtype, parts.total());
    for (std::int64_t i = 0; i < own; ++i) both.set(begin + i, value(on.rank(), i, dtype));
    on.all_gather(both.part(begin, own), both.all(), parts, Traffic::kTensor);
    EXPECT_TRUE(both == expected) << "in place";
  });
}

inline void broadcast(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    for (int root = 0; root < on.size(); ++root) {
      Elements mine = own_values(on, dtype, count);
      on.broadcast(mine.all(), root, Traffic::kControl);
      EXPECT_TRUE(mine == filled(dtype, count, [&](auto i) { return value(root, i, dtype); }))
          << "from " << root;
    }
  });
}

// Two messages of different length from each rank to each, itself included; the ranks list peers in different
// orders.
inline void exchange_all_pairs(Communicator& communicator) {
  for_all_sizes(communicator, [](Communicator& on, DType dtype, std::int64_t count) {
    const auto length = [&](int from, int to, int message) {
      return count == 0 ? 0 : count + from * 3 + to * 2 + message;
    };
    const auto element = [&](int from, int to, int message) {
      return [=](std::int64_t i) { return value(from, i + to * 5 + message * 11, dtype); };
    };
    std::vector<Elements> out;
    std::vector<Elements> in;
    std::vector<Send> sends;
    std::vector<Receive> receives;
    out.reserve(static_cast<std::size_t>(on.size()) * 2);
    in.reserve(static_cast<std::size_t>(on.size()) * 2);
    for (int step = 0; step < on.size(); ++step)
      for (int message = 0; message < 2; ++message) {
        const int to = (on.rank() + step) % on.size();
        out.push_back(filled(dtype, length(on.rank(), to, message), element(on.rank(), to, message)));
        sends.push_back({to, out.back().all()});
        const int from = on.size() - 1 - step;
        in.push_back(Elements(dtype, length(from, on.rank(), message)));
        receives.push_back({from, in.back().all()});
      }
    on.exchange(sends, receives, Traffic::kPipeline);
    for (std::size_t k = 0; k < in.size(); ++k) {
      const int from = receives[k].from;
      const int message = static_cast<int>(k % 2);
      EXPECT_TRUE(in[k] == filled(dtype, length(from, on.rank(), message), element(from, on.rank(), message)))
          << "from " << from << " message " << message;
    }
  });
}

// Only neighbours take part, as stages of a pipeline do, and each number of times on its own.
inline void exchange_along_a_line(Communicator& on) {
  for (std::int32_t round = 0; round < 3; ++round) {
    std::int32_t token = round * 100;
    if (on.rank() > 0) {
      const Receive receive = {on.rank() - 1, {&token, 1, DType::kInt32}};
      on.exchange({}, {&receive, 1}, Traffic::kPipeline);
      EXPECT_EQ(token, round * 100 + on.rank());
    }
    ++token;
    if (on.rank() + 1 < on.size()) {
      const Send send = {on.rank() + 1, {&token, 1, DType::kInt32}};
      on.exchange({&send, 1}, {}, Traffic::kPipeline);
    }
  }
  on.exchange({}, {}, Traffic::kPipeline);
}

inline void barrier(Communicator& on) {
  for (int i = 0; i < 3; ++i) on.barrier();
  EXPECT_EQ(on.counters()[Traffic::kControl].calls, 3);
}

// `on` is fresh.
inline void counters(Communicator& on) {
  const std::int64_t others = on.size() > 1 ? 1 : 0;
  std::vector<float> one(3);
  std::vector<float> all(static_cast<std::size_t>(on.size()) * 3);
  const Buffer small = {one.data(), 3, DType::kFloat32};
  const Buffer large = {all.data(), 3 * on.size(), DType::kFloat32};
  on.all_reduce(small, ReduceOp::kSum, Traffic::kGradient);
  on.all_reduce(small, ReduceOp::kSum, Traffic::kGradient);
  EXPECT_EQ(on.counters()[Traffic::kGradient], (TrafficCount{2, 2 * others, 24 * others}));
  on.reduce_scatter(large, small, ReduceOp::kSum, Traffic::kTensor);
  on.all_gather(small, large, Traffic::kTensor);
  EXPECT_EQ(on.counters()[Traffic::kTensor],
            (TrafficCount{2, 2 * others, (12 * (on.size() - 1) + 12) * others}));
  const Parts parts = uneven_parts(on, 3);
  std::vector<float> own(static_cast<std::size_t>(parts.count(on.rank())));
  std::vector<float> every(static_cast<std::size_t>(parts.total()));
  const TrafficCount even = on.counters()[Traffic::kTensor];
  const Buffer part = {own.data(), parts.count(on.rank()), DType::kFloat32};
  const Buffer total = {every.data(), parts.total(), DType::kFloat32};
  on.reduce_scatter(total, part, parts, ReduceOp::kSum, Traffic::kTensor);
  on.all_gather(part, total, parts, Traffic::kTensor);
  // What the others get of this rank's numbers, and what they get of its part.
  EXPECT_EQ(on.counters()[Traffic::kTensor], (TrafficCount{even.calls + 2, even.messages + 2 * others,
                                                           even.bytes + 4 * parts.total() * others}));
  on.broadcast(small, 0, Traffic::kControl);
  const std::int64_t is_root = on.rank() == 0 ? others : 0;
  EXPECT_EQ(on.counters()[Traffic::kControl], (TrafficCount{1, is_root, 12 * is_root}));
  const Send send = {(on.rank() + 1) % on.size(), small};
  std::vector<float> other(3);
  const Receive receive = {(on.rank() + on.size() - 1) % on.size(), {other.data(), 3, DType::kFloat32}};
  on.exchange({&send, 1}, {&receive, 1}, Traffic::kPipeline);
  EXPECT_EQ(on.counters()[Traffic::kPipeline], (TrafficCount{1, others, 12 * others}));
}

// Wrong arguments throw on the rank that gave them, before anything moves; the communicator stays usable.
inline void misuse(Communicator& on) {
  using testing::HasSubstr;
  using testing::ThrowsMessage;
  std::vector<float> memory(static_cast<std::size_t>(on.size()) * 4 + 8);
  const Buffer small = {memory.data(), 2, DType::kFloat32};
  const Buffer large = {memory.data(), 2 * on.size(), DType::kFloat32};
  const auto refuses = [](const std::function<void()>& call, const std::string& why) {
    EXPECT_THAT(call, ThrowsMessage<Error>(HasSubstr(why)));
  };
  const auto sum = ReduceOp::kSum;
  const auto tensor = Traffic::kTensor;
  refuses([&] { on.all_reduce({nullptr, 2, DType::kFloat32}, sum, tensor); }, "null memory for 2 elements");
  refuses(
      [&] {
        on.all_reduce({memory.data(), -1, DType::kFloat32}, sum, tensor);
      },
      "the count -1 is negative");
  refuses([&] { on.broadcast(small, on.size(), tensor); }, "no rank");
  refuses([&] { on.broadcast(small, -1, tensor); }, "no rank -1");
  refuses([&] { on.all_gather({memory.data(), 2, DType::kInt32}, large, tensor); }, "one buffer is int32");
  refuses([&] { on.all_gather({memory.data(), 3, DType::kFloat32}, large, tensor); }, "parts of 3");
  refuses([&] { on.reduce_scatter(small, {memory.data(), 3, DType::kFloat32}, sum, tensor); }, "parts of 3");
  Buffer shifted = {memory.data() + 2 * on.rank() + 1, 2, DType::kFloat32};
  refuses([&] { on.reduce_scatter(large, shifted, sum, tensor); }, "overlap");
  refuses([&] { on.all_gather(shifted, large, tensor); }, "overlap");
  const Parts two_each = Parts::of_same(2, on.size());
  refuses([&] { on.all_gather(small, large, Parts::of_same(2, on.size() + 1), tensor); },
          fmt::format("for {} ranks", on.size()));
  refuses(
      [&] {
        on.all_gather({memory.data(), 3, DType::kFloat32}, large, two_each, tensor);
      },
      "3 elements are not part");
  refuses([&] { on.reduce_scatter(large, small, Parts::of_same(-2, on.size()), sum, tensor); },
          "one is negative");
  const Send nowhere = {on.size(), small};
  refuses([&] { on.exchange({&nowhere, 1}, {}, tensor); }, "no rank");
  const Receive null = {0, {nullptr, 1, DType::kFloat32}};
  refuses([&] { on.exchange({}, {&null, 1}, tensor); }, "null memory");
  const Send to_itself = {on.rank(), small};
  refuses([&] { on.exchange({&to_itself, 1}, {}, tensor); }, "1 messages to itself, but 0 from itself");
  EXPECT_EQ(on.counters()[tensor].calls, 0);
  on.barrier();
}

struct Check {
  const char* name;
  void (*body)(Communicator&);

  // In the names of tests.
  friend void PrintTo(const Check& it, std::ostream* out) { *out << it.name; }
};

inline constexpr Check kChecks[] = {
    {"all_reduce", all_reduce},
    {"reduce_scatter", reduce_scatter},
    {"all_gather", all_gather},
    {"reduce_scatter_of_uneven_parts", reduce_scatter_of_uneven_parts},
    {"all_gather_of_uneven_parts", all_gather_of_uneven_parts},
    {"broadcast", broadcast},
    {"exchange_all_pairs", exchange_all_pairs},
    {"exchange_along_a_line", exchange_along_a_line},
    {"barrier", barrier},
    {"counters", counters},
    {"misuse", misuse},
};

}  // namespace trimtab::conformance
