// SPDX-License-Identifier: Apache-2.0
//
// Keys and values of a method in front of those of each row of an attention (prefix tuning): where everything
// lies then, and how it is put together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "models/ops/cross_attention.h"
#include "models/ops/decode_attention.h"
#include "parallel/row_layout.h"

namespace trimtab {

// The rows of an attention with what `adapter` puts in front of each; as they are without an adapter.
RowLayout with_prefix(const RowLayout& layout, const std::vector<std::int32_t>& lanes,
                      const KeyValueAdapter* adapter);

// Columns [queries | keys | values] of the tokens, the prefix of its lane in front of each row. A prefix
// token asks nothing: its queries are zeros, and what attention makes of them is left out again.
at::Tensor put_prefix(const at::Tensor& qkv, const RowLayout& layout, const std::vector<std::int32_t>& lanes,
                      const KeyValueAdapter& adapter);
// The tokens of `layout` in what was made of `prefixed` rows, which have more in front.
at::Tensor last_positions(const at::Tensor& x, const RowLayout& layout, const RowLayout& prefixed);

// The same for keys and values of attention to another row.
KeysAndValues put_prefix(const KeysAndValues& of_tokens, const std::vector<std::int32_t>& lanes,
                         const KeyValueAdapter& adapter);

// The prefix of its lane as the first keys and values of each row of an empty cache.
void put_prefix(KvCache& cache, const std::vector<std::int32_t>& lanes, const KeyValueAdapter& adapter);

}  // namespace trimtab
