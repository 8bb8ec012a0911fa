// SPDX-License-Identifier: Apache-2.0
#include "models/formats/gguf_blocks.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "models/formats/half.h"

namespace trimtab {
namespace {

using Byte = std::uint8_t;
using Half = std::uint16_t;  // the bits of a float16

// Blocks as they lie in a file, where nothing is aligned: each is copied out before it is used.

struct F32 {
  static constexpr int kElements = 1;
  float value;
};
struct F16 {
  static constexpr int kElements = 1;
  Half value;
};
struct BF16 {
  static constexpr int kElements = 1;
  std::uint16_t value;
};
struct Q4_0 {
  static constexpr int kElements = 32;
  Half scale;
  Byte low[16];  // elements 0 to 15 in the low four bits, 16 to 31 in the high four
};
struct Q4_1 {
  static constexpr int kElements = 32;
  Half scale, least;
  Byte low[16];
};
struct Q5_0 {
  static constexpr int kElements = 32;
  Half scale;
  Byte fifth[4];  // bit i is the fifth bit of element i
  Byte low[16];
};
struct Q5_1 {
  static constexpr int kElements = 32;
  Half scale, least;
  Byte fifth[4];
  Byte low[16];
};
struct Q8_0 {
  static constexpr int kElements = 32;
  Half scale;
  std::int8_t value[32];
};
struct Q2_K {
  static constexpr int kElements = 256;
  Byte parts[16];  // of each 16 elements: scale in the low four bits, offset in the high four
  Byte low[64];    // two bits an element; 32 bytes hold 128 elements, 32 at each shift
  Half scale, offset;
};
struct Q3_K {
  static constexpr int kElements = 256;
  Byte third[32];   // bit j of byte i: whether element 32 j + i is not lowered by four
  Byte low[64];     // as in Q2_K
  Byte scales[12];  // sixteen of six bits
  Half scale;
};
struct Q4_K {
  static constexpr int kElements = 256;
  Half scale, offset;
  Byte parts[12];  // eight scales and eight offsets of six bits
  Byte low[128];   // 32 bytes hold 64 elements, the first 32 in the low four bits
};
struct Q5_K {
  static constexpr int kElements = 256;
  Half scale, offset;
  Byte parts[12];
  Byte fifth[32];  // bit j of byte i belongs to element 32 j + i
  Byte low[128];
};
struct Q6_K {
  static constexpr int kElements = 256;
  Byte low[128];  // 64 bytes hold 128 elements: 0 to 63 of them in the low four bits, 64 to 127 in the high
                  // four
  Byte high[64];  // two bits an element; 32 bytes hold 128 elements, 32 at each shift
  std::int8_t scales[16];
  Half scale;
};

void expand(const F32& block, float* out) { *out = block.value; }
void expand(const F16& block, float* out) { *out = half_to_float(block.value); }
void expand(const BF16& block, float* out) { *out = bfloat16_to_float(block.value); }

void expand(const Q8_0& block, float* out) {
  const float scale = half_to_float(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.value[i]) * scale;
}

void expand(const Q4_0& block, float* out) {
  const float scale = half_to_float(block.scale);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((block.low[i] & 15) - 8);
    out[i + 16] = scale * static_cast<float>((block.low[i] >> 4) - 8);
  }
}

void expand(const Q4_1& block, float* out) {
  const float scale = half_to_float(block.scale);
  const float least = half_to_float(block.least);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(block.low[i] & 15) + least;
    out[i + 16] = scale * static_cast<float>(block.low[i] >> 4) + least;
  }
}

// The 32 numbers of five bits in a block, each raised by `lift`.
std::array<float, 32> five_bits(const Byte (&fifth)[4], const Byte (&low)[16], int lift) {
  std::uint32_t bits;
  std::memcpy(&bits, fifth, 4);
  std::array<float, 32> numbers;
  for (int i = 0; i < 16; ++i) {
    numbers[i] = static_cast<float>(static_cast<int>((low[i] & 15u) | (bits >> i & 1u) << 4) + lift);
    numbers[i + 16] =
        static_cast<float>(static_cast<int>((low[i] >> 4u) | (bits >> (i + 16) & 1u) << 4) + lift);
  }
  return numbers;
}

void expand(const Q5_0& block, float* out) {
  const float scale = half_to_float(block.scale);
  const auto numbers = five_bits(block.fifth, block.low, -16);
  for (int i = 0; i < 32; ++i) out[i] = scale * numbers[i];
}

void expand(const Q5_1& block, float* out) {
  const float scale = half_to_float(block.scale);
  const float least = half_to_float(block.least);
  const auto numbers = five_bits(block.fifth, block.low, 0);
  for (int i = 0; i < 32; ++i) out[i] = scale * numbers[i] + least;
}

void expand(const Q2_K& block, float* out) {
  const float scale = half_to_float(block.scale);
  const float offset = half_to_float(block.offset);
  for (int part = 0; part < 16; ++part) {
    const float d = scale * static_cast<float>(block.parts[part] & 15);
    const float m = offset * static_cast<float>(block.parts[part] >> 4);
    const Byte* low = block.low + part / 8 * 32 + part % 2 * 16;
    const int shift = part % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) out[16 * part + i] = d * static_cast<float>(low[i] >> shift & 3) - m;
  }
}

void expand(const Q3_K& block, float* out) {
  const float scale = half_to_float(block.scale);
  for (int part = 0; part < 16; ++part) {
    const int low_scale = block.scales[part % 8] >> (part / 8 * 4) & 15;
    const int high_scale = block.scales[8 + part % 4] >> (part / 4 * 2) & 3;
    const float d = scale * static_cast<float>((low_scale | high_scale << 4) - 32);
    const Byte* low = block.low + part / 8 * 32 + part % 2 * 16;
    const Byte* third = block.third + part % 2 * 16;
    const int shift = part % 8 / 2 * 2, bit = part / 2;
    for (int i = 0; i < 16; ++i) {
      const int number = (low[i] >> shift & 3) - ((third[i] >> bit & 1) != 0 ? 0 : 4);
      out[16 * part + i] = d * static_cast<float>(number);
    }
  }
}

// Scale and offset of 32 elements in Q4_K and Q5_K. The first four of each are whole bytes' low six bits; the
// last four are in two places.
std::pair<float, float> scale_and_offset(const Byte (&parts)[12], int part) {
  if (part < 4) return {static_cast<float>(parts[part] & 63), static_cast<float>(parts[part + 4] & 63)};
  const Byte low = parts[part + 4];
  return {static_cast<float>((low & 15) | (parts[part - 4] >> 6) << 4),
          static_cast<float>((low >> 4) | (parts[part] >> 6) << 4)};
}

void expand(const Q4_K& block, float* out) {
  const float scale = half_to_float(block.scale);
  const float offset = half_to_float(block.offset);
  for (int part = 0; part < 8; ++part) {
    const auto [d, m] = scale_and_offset(block.parts, part);
    const float ds = scale * d, ms = offset * m;
    const Byte* low = block.low + part / 2 * 32;
    const int shift = part % 2 * 4;
    for (int i = 0; i < 32; ++i) out[32 * part + i] = ds * static_cast<float>(low[i] >> shift & 15) - ms;
  }
}

void expand(const Q5_K& block, float* out) {
  const float scale = half_to_float(block.scale);
  const float offset = half_to_float(block.offset);
  for (int part = 0; part < 8; ++part) {
    const auto [d, m] = scale_and_offset(block.parts, part);
    const float ds = scale * d, ms = offset * m;
    const Byte* low = block.low + part / 2 * 32;
    const int shift = part % 2 * 4;
    for (int i = 0; i < 32; ++i) {
      const int number = (low[i] >> shift & 15) | (block.fifth[i] >> part & 1) << 4;
      out[32 * part + i] = ds * static_cast<float>(number) - ms;
    }
  }
}

void expand(const Q6_K& block, float* out) {
  const float scale = half_to_float(block.scale);
  for (int part = 0; part < 16; ++part) {
    const float d = scale * static_cast<float>(block.scales[part]);
    const int group = part % 8 / 2;  // of 32 elements, in a half of the block
    const Byte* low = block.low + part / 8 * 64 + group % 2 * 32 + part % 2 * 16;
    const Byte* high = block.high + part / 8 * 32 + part % 2 * 16;
    const int low_shift = group / 2 * 4, high_shift = group * 2;
    for (int i = 0; i < 16; ++i) {
      const int number = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
      out[16 * part + i] = d * static_cast<float>(number - 32);
    }
  }
}

template <typename Block>
void decode(const std::byte* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    Block block;
    std::memcpy(&block, blocks + static_cast<std::size_t>(i) * sizeof(Block), sizeof(Block));
    expand(block, out + i * Block::kElements);
  }
}

template <typename Block>
constexpr GgufType type(std::uint32_t id, std::string_view name) {
  static_assert(Block::kElements <= kLargestGgufBlock);
  constexpr DType kDType = std::is_same_v<Block, BF16> ? DType::kBFloat16 : DType::kFloat32;
  return {id, name, kDType, Block::kElements, sizeof(Block), decode<Block>};
}

constexpr GgufType kTypes[] = {
    type<F32>(0, "F32"),    type<F16>(1, "F16"),    type<BF16>(30, "BF16"), type<Q8_0>(8, "Q8_0"),
    type<Q4_0>(2, "Q4_0"),  type<Q4_1>(3, "Q4_1"),  type<Q5_0>(6, "Q5_0"),  type<Q5_1>(7, "Q5_1"),
    type<Q2_K>(10, "Q2_K"), type<Q3_K>(11, "Q3_K"), type<Q4_K>(12, "Q4_K"), type<Q5_K>(13, "Q5_K"),
    type<Q6_K>(14, "Q6_K"),
};
static_assert(sizeof(Q4_0) == 18 && sizeof(Q4_1) == 20 && sizeof(Q5_0) == 22 && sizeof(Q5_1) == 24);
static_assert(sizeof(Q8_0) == 34 && sizeof(Q2_K) == 84 && sizeof(Q3_K) == 110 && sizeof(Q4_K) == 144);
static_assert(sizeof(Q5_K) == 176 && sizeof(Q6_K) == 210);

// Known to ggml and not read here.
constexpr std::pair<std::uint32_t, std::string_view> kOthers[] = {
    {9, "Q8_1"},    {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
    {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},  {34, "TQ1_0"},   {35, "TQ2_0"},
    {39, "MXFP4"},  {40, "NVFP4"}, {41, "Q1_0"}};

}  // namespace

const GgufType* find_gguf_type(std::uint32_t id) {
  for (const GgufType& known : kTypes)
    if (known.id == id) return &known;
  return nullptr;
}

std::string gguf_type_name(std::uint32_t id) {
  if (const GgufType* known = find_gguf_type(id)) return std::string(known->name);
  for (const auto& [other, name] : kOthers)
    if (other == id) return std::string(name);
  return fmt::format("type {}", id);
}

std::string readable_gguf_types() {
  std::string names;
  for (const GgufType& known : kTypes) {
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  return names;
}

}  // namespace trimtab
