// SPDX-License-Identifier: Apache-2.0
//
// IEEE half precision, as files store it.
#pragma once

#include <bit>
#include <cstdint>

namespace trimtab {

// Exact: subnormal numbers, infinities and NaN included, also where denormal float32 numbers are flushed to
// zero. Free of branches, so that loops over it become vector code.
inline float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  const std::uint32_t widened = magnitude << 13;
  const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  const std::uint32_t normal = widened + (112u << 23);  // the biases of the exponents are 15 and 127
  const std::uint32_t value = magnitude < 0x400u    ? subnormal
                              : magnitude < 0x7c00u ? normal
                                                    : widened | 0x7f800000u;
  return std::bit_cast<float>(sign | value);
}

}  // namespace trimtab
