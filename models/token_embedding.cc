// SPDX-License-Identifier: Apache-2.0
#include "models/token_embedding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "models/input_rows.h"
#include "parallel/vocab.h"
#include "runtime/check.h"

namespace trimtab {

at::Tensor TokenEmbedding::operator()(const at::Tensor& ids) const {
  TT_CHECK(tensor_ != nullptr, "this stage does not hold the embedding table");
  return as_activations(vocab_parallel_embedding(table_, ids, vocabulary_, *tensor_));
}

at::Tensor TokenEmbedding::values(const std::vector<std::int64_t>& ids) const {
  const c10::NoGradGuard no_grad;
  return (*this)(at::tensor(ids, at::kLong)).to(at::kFloat);
}

at::Tensor TokenEmbedding::with_prompts(const Text& text, const InputAdapter* adapter,
                                        const TokenSplit& tokens) const {
  if (!tokens.splits()) return put_prompts((*this)(text.ids), text.layout, text.lanes, adapter, text.inputs);
  const at::Tensor part = with_gaps(vocab_parallel_embedding_part(table_, text.ids, vocabulary_, *tensor_),
                                    text.layout, text.lanes, adapter, text.inputs);
  return fill_gaps(as_activations(tokens.leave(part)), text.layout, text.lanes, adapter, text.inputs, tokens);
}

}  // namespace trimtab
