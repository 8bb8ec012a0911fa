// SPDX-License-Identifier: Apache-2.0
//
// What the bodies of communicator_conformance.h send, and what must come of it. Values are such that a float
// sum in another order has other bits, and expected ones are computed one element at a time.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
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

}  // namespace trimtab::conformance
