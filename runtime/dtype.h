// SPDX-License-Identifier: Apache-2.0
//
// Element types of stored tensors, and the bfloat16 conversions that need no tensor library.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trimtab {

enum class DType { kFloat32, kBFloat16, kInt32, kInt64 };

// Bytes of one element.
constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::kBFloat16:
      return 2;
    case DType::kInt64:
      return 8;
    default:
      return 4;
  }
}

// "float32", "bfloat16", "int32", "int64".
std::string_view name_of(DType type);

inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// Round to nearest even; NaN stays NaN.
inline std::uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace trimtab
