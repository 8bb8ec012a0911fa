// SPDX-License-Identifier: Apache-2.0
//
// Rotary positions (Su et al. 2021): the columns of each head of queries and keys turn in pairs by an angle
// that grows with the token's position, so that a score depends on the distance only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/row_layout.h"

namespace trimtab {

// Cosines and sines of consecutive positions or of given tokens, float32 [n, head_dim / 2].
struct RotaryAngles {
  at::Tensor cos;  // undefined: nothing turns
  at::Tensor sin;
  bool interleaved = false;  // pairs are columns 2 i and 2 i + 1, otherwise i and i + head_dim / 2
};

// The angles of all positions so far asked for. Not shared between threads.
class RotaryTable {
 public:
  // `frequencies` [head_dim / 2]: radians a position.
  RotaryTable(std::vector<float> frequencies, bool interleaved);

  // Of positions 0 .. positions - 1.
  RotaryAngles up_to(std::int64_t positions);
  // Of one token for each position given.
  RotaryAngles at(const std::vector<std::int64_t>& positions);

 private:
  std::vector<float> frequencies_;
  bool interleaved_;
  at::Tensor cos_, sin_;
};

namespace detail {
// x [tokens, heads * head_dim] turned, by plain operations with autograd; row t of the angles is token t's.
at::Tensor rotated_reference(const at::Tensor& x, std::int64_t heads, const RotaryAngles& angles);
// The angles of each token of ragged rows, from those of consecutive positions.
RotaryAngles angles_of_tokens(const RotaryAngles& angles, const RowLayout& layout);
}  // namespace detail

}  // namespace trimtab
