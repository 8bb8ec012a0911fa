// SPDX-License-Identifier: Apache-2.0
//
// How attention is computed on devices: by LibTorch's kernels on rows padded for that alone; composed of
// plain operations, row by row; or by the kernel of models/ops/ragged_attention.h on ragged rows as they are,
// for whatever device has someone who launches it. A GPU pads unless told otherwise: the kernel is not yet
// measured.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

#include <string>

#include "models/ops/ragged_types.h"
#include "models/ops/self_attention.h"
#include "parallel/row_layout.h"

namespace trimtab {

enum class AttentionPath { kPadded, kComposed, kRagged };

// From now on tensors of this kind of device take `path`; `launcher`, which outlives them, is for kRagged
// alone. Called before anything computes, since passes in progress must not see a change.
void use_attention(c10::DeviceType where, AttentionPath path, const ragged::Launcher* launcher = nullptr);

// By name: "padded", "composed" or "ragged". Throws ConfigError that says what they are; `key` is what was
// set.
void choose_attention(c10::DeviceType where, const std::string& name, const ragged::Launcher& launcher,
                      const std::string& key);

namespace detail {

// Whether device_attention takes a tensor of queries: its device pads, or has a launcher that knows the type,
// the width of a head and the number of buckets.
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
at::Tensor padded_attention(const DeviceAttention& request);

// causal_attention, turned by plain operations.
at::Tensor causal_attention_on_device(const at::Tensor& qkv, const AttentionHeads& heads,
                                      const RotaryAngles& rotary, const RowLayout& layout);

}  // namespace detail

}  // namespace trimtab
