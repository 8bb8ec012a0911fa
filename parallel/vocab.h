// SPDX-License-Identifier: Apache-2.0
//
// A vocabulary whose rows the tensor ranks share (share_of_units): embedding, cross entropy and argmax.
// Logits are never gathered: ranks exchange one maximum, one sum and one target logit for each token.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/communicator.h"

namespace trimtab {

// `vocabulary` is the number of rows of all ranks together, in each of these.

// table [v, d] (this rank's rows), ids int64 [t] over the whole vocabulary -> [t, d], the same on all tensor
// ranks. Collective over them. Throws Error that names the id when one lies outside the vocabulary.
at::Tensor vocab_parallel_embedding(const at::Tensor& table, const at::Tensor& ids, std::int64_t vocabulary,
                                    Communicator& tensor);
// What this rank adds to it, zeros for ids of others: it has not left the tensor region. Nothing is sent.
at::Tensor vocab_parallel_embedding_part(const at::Tensor& table, const at::Tensor& ids,
                                         std::int64_t vocabulary, const Communicator& tensor);

// Sum over tokens of  log Z - logit[target] + z_loss * (log Z)^2  as a float32 scalar (t5x/losses.py:
// cross_entropy_with_logits). logits float32 [t, v], targets int64 [t]. Collective over the tensor ranks in
// forward.
at::Tensor vocab_parallel_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, double z_loss,
                                        std::int64_t vocabulary, Communicator& tensor);

// The log-likelihood of each of `ids` behind each token, logit[id] - log Z: logits float32 [t, v], ids int64
// [n] over the whole vocabulary -> float32 [t, n], without autograd. Collective over the tensor ranks. Throws
// Error if a logit is not finite, as does the next.
at::Tensor vocab_parallel_log_likelihoods(const at::Tensor& logits, const at::Tensor& ids,
                                          std::int64_t vocabulary, Communicator& tensor);

// The id of the largest logit of each token, int64 [t]; of equal ones the lowest. Collective over the tensor
// ranks.
at::Tensor vocab_parallel_argmax(const at::Tensor& logits, std::int64_t vocabulary, Communicator& tensor);

}  // namespace trimtab
