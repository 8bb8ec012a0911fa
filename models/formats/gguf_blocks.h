// SPDX-License-Identifier: Apache-2.0
//
// The types in which GGUF stores the elements of a tensor, under ggml's names. Quantised types store blocks
// of 32 or 256 elements that share scales; each block can be decoded without its neighbours. Values are those
// of gguf-py's `dequantize` to the last bit: products and sums are rounded one by one, in its order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/dtype.h"

namespace trimtab {

struct GgufType {
  std::uint32_t id;
  std::string_view name;
  DType dtype;            // what it is decoded to without loss: bfloat16 for BF16, else float32
  std::int64_t elements;  // of a block, at most kLargestGgufBlock
  std::size_t bytes;      // of a block
  // Writes count * elements values. The bytes need no alignment.
  void (*decode)(const std::byte* blocks, std::int64_t count, float* out);
};

constexpr std::int64_t kLargestGgufBlock = 256;

// Null for a type that is not read.
const GgufType* find_gguf_type(std::uint32_t id);

// "IQ4_XS" or "type 77": also for types that are not read.
std::string gguf_type_name(std::uint32_t id);

// "F32, F16, ...": all that is read.
std::string readable_gguf_types();

}  // namespace trimtab
