// SPDX-License-Identifier: Apache-2.0
//
// Attention by the kernel of models/ops/ragged_attention.h, for whatever device has someone who launches it:
// ragged rows as they are, the bias read from its table by distance, gradients without atomic sums. Off
// unless a launcher was given, since it is not yet measured on a GPU; attention is then composed of
// LibTorch's operations (attention_reference.cc).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

#include "models/ops/ragged_attention.h"
#include "models/ops/self_attention.h"
#include "parallel/row_layout.h"

namespace trimtab {

// From now on tensors of this kind of device go through `launcher`, which outlives them; null: as composed.
// Called before anything computes, since passes in progress must not see a change.
void use_device_attention(c10::DeviceType where, const ragged::Launcher* launcher);

namespace detail {

// Whether a tensor of queries goes through a launcher: one is there, and it knows the type, the width of a
// head and the number of buckets.
bool has_device_attention(const at::Tensor& q, std::int64_t head_dim, std::int64_t buckets = 0);

struct DeviceAttention {
  // [tokens, heads * head_dim] each; or, with k and v undefined, all side by side in q.
  at::Tensor q, k, v;
  RowLayout queries, keys;
  AttentionHeads heads;
  bool causal = false;
  at::Tensor table;     // [buckets, heads.queries] or undefined; its gradient is computed if it requires one
  RelativeBias bias;    // of the table
  at::Tensor key_mask;  // float32 [key tokens, heads.queries], of any device, or undefined
};

// [query tokens, heads.queries * head_dim].
at::Tensor device_attention(const DeviceAttention& request);

// causal_attention, turned by plain operations.
at::Tensor causal_attention_on_device(const at::Tensor& qkv, const AttentionHeads& heads,
                                      const RotaryAngles& rotary, const RowLayout& layout);

}  // namespace detail

}  // namespace trimtab
