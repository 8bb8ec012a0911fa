// SPDX-License-Identifier: Apache-2.0
//
// What every communicator must do, written once: each body is run by all members of a communicator together,
// and checks on each of them. The values are such that sums depend on the order, and the expected ones are
// computed one element at a time, so a result that is right has the same bits on every rank.
#pragma once

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab::conformance {

inline constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kInt32, DType::kInt64};
inline constexpr ReduceOp kOps[] = {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin};
inline constexpr std::int64_t kCounts[] = {0, 1, 7, 20'011};

// Elements as bytes, with a margin behind them that no call may touch.
class Elements {
 public:
  static constexpr std::size_t kMargin = 64;

  Elements(DType dtype, std::int64_t count)
      : dtype_(dtype),
        count_(count),
        bytes_(static_cast<std::size_t>(count) * size_of(dtype) + kMargin, 0xa5) {}

  Buffer all() { return part(0, count_); }
  Buffer part(std::int64_t begin, std::int64_t count) { return {at(begin), count, dtype_}; }
  void* at(std::int64_t index) { return bytes_.data() + static_cast<std::size_t>(index) * size_of(dtype_); }

  void set(std::int64_t index, double value) {
    const auto put = [&](const auto& stored) { std::memcpy(at(index), &stored, sizeof stored); };
    switch (dtype_) {
      case DType::kFloat32:
        return put(static_cast<float>(value));
      case DType::kBFloat16:
        return put(float_to_bfloat16(static_cast<float>(value)));
      case DType::kInt32:
        return put(static_cast<std::int32_t>(value));
      case DType::kInt64:
        return put(static_cast<std::int64_t>(value));
    }
  }
  bool operator==(const Elements&) const = default;

 private:
  DType dtype_;
  std::int64_t count_;
  std::vector<unsigned char> bytes_;
};

// The index-th element of a rank. Magnitudes differ between ranks, so that a float sum in another order has
// other bits.
inline double value(int rank, std::int64_t index, DType dtype) {
  const auto mixed =
      static_cast<std::uint32_t>((index + 1) * 2'654'435'761 + (rank + 1) * 40'503 * (index % 13 + 1));
  const double unit = static_cast<double>(mixed % 20'001) / 10'000.0 - 1.0;
  if (dtype == DType::kInt32 || dtype == DType::kInt64) return std::floor(unit * 1000.0);
  const double number = unit * std::pow(37.0, (rank * 7 + index) % 4);
  const auto single = static_cast<float>(number);
  return dtype == DType::kBFloat16 ? bfloat16_to_float(float_to_bfloat16(single)) : single;
}

// The reduction over ranks in order, float32 sums in float32.
inline double reduced(int ranks, std::int64_t index, DType dtype, ReduceOp op) {
  const bool is_float = dtype == DType::kFloat32 || dtype == DType::kBFloat16;
  double result = value(0, index, dtype);
  for (int rank = 1; rank < ranks; ++rank) {
    const double next = value(rank, index, dtype);
    if (op == ReduceOp::kMax) result = std::max(result, next);
    if (op == ReduceOp::kMin) result = std::min(result, next);
    if (op == ReduceOp::kSum)
      result = is_float ? static_cast<float>(result) + static_cast<float>(next) : result + next;
  }
  return result;
}

inline Elements filled(DType dtype, std::int64_t count, const std::function<double(std::int64_t)>& of_index) {
  Elements elements(dtype, count);
  for (std::int64_t i = 0; i < count; ++i) elements.set(i, of_index(i));
  return elements;
}

inline Elements own_values(const Communicator& on, DType dtype, std::int64_t count) {
  return filled(dtype, count, [&](std::int64_t i) { return value(on.rank(), i, dtype); });
}

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
};

inline constexpr Check kChecks[] = {
    {"all_reduce", all_reduce},
    {"reduce_scatter", reduce_scatter},
    {"all_gather", all_gather},
    {"broadcast", broadcast},
    {"exchange_all_pairs", exchange_all_pairs},
    {"exchange_along_a_line", exchange_along_a_line},
    {"barrier", barrier},
    {"counters", counters},
    {"misuse", misuse},
};

}  // namespace trimtab::conformance
