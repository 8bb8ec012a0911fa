// SPDX-License-Identifier: Apache-2.0
//
// The table of a vocabulary's embeddings, whose rows tensor ranks share, and how a text becomes activations
// through it, with the rows that an input adapter puts in.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "models/model.h"
#include "parallel/row_layout.h"
#include "parallel/token_split.h"
#include "runtime/communicator.h"

namespace trimtab {

class TokenEmbedding {
 public:
  TokenEmbedding() = default;  // of stages that hold no table
  // `table` [v, d]: this rank's of `vocabulary` rows.
  TokenEmbedding(at::Tensor table, std::int64_t vocabulary, Communicator& tensor)
      : table_(std::move(table)), vocabulary_(vocabulary), tensor_(&tensor) {}

  // Also what a tied head multiplies with.
  const at::Tensor& table() const { return table_; }

  // ids [t] -> activations [t, d], the same on all tensor ranks.
  at::Tensor operator()(const at::Tensor& ids) const;
  // The same, float32 and without gradients.
  at::Tensor values(const std::vector<std::int64_t>& ids) const;

  // Tokens of rows, as what is put into them needs to know them.
  struct Text {
    const at::Tensor& ids;  // [text tokens]
    const RowLayout& layout;
    const std::vector<std::int32_t>& lanes;
    std::vector<std::int64_t> inputs;  // tokens of each row that are input: prompts stand in or before them
  };
  // This rank's tokens of the text with the adapter's rows in it, if there is one (prompts.py:
  // prefix_prompt).
  at::Tensor with_prompts(const Text& text, const InputAdapter* adapter, const TokenSplit& tokens) const;

 private:
  at::Tensor table_;
  std::int64_t vocabulary_ = 0;
  Communicator* tensor_ = nullptr;
};

}  // namespace trimtab
