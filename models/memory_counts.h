// SPDX-License-Identifier: Apache-2.0
//
// Numbers that a layer of a transformer keeps from its forward to its backward pass, and those that it needs
// beside them while it computes: what the layers of all families have in common.
#pragma once

#include <cstdint>

#include "models/family.h"

namespace trimtab {

// Of one rank's share.
struct LayerWidths {
  std::int64_t width = 0;         // of the residual stream
  std::int64_t stream = 0;        // of it, that this rank holds: where tokens are shared out, a part a token
  std::int64_t inner = 0;         // of the queries of a token
  std::int64_t keys_values = 0;   // of its keys and values together
  std::int64_t feed_forward = 0;  // inner columns of the feed-forward block
  std::int64_t heads = 0;
  std::int64_t gates = 2;  // matrices into the feed-forward block
};

// LayerWidths::stream of a residual stream of this width.
std::int64_t stream_width(std::int64_t width, const MemoryPlan& plan);

// Self-attention and feed-forward block for `tokens` of `rows` rows.
std::int64_t kept_of_layer(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                           const MemoryPlan& plan);
// The two halves of it, for layers that not all tokens pass.
std::int64_t kept_of_attention(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                               const MemoryPlan& plan);
std::int64_t kept_of_feed_forward(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                                  const MemoryPlan& plan);

// The most that is there at a time.
std::int64_t forward_of_layer(const LayerWidths& layer, std::int64_t tokens);
std::int64_t backward_of_layer(const LayerWidths& layer, std::int64_t tokens);

}  // namespace trimtab
