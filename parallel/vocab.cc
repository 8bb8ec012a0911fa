// SPDX-License-Identifier: Apache-2.0
#include "parallel/vocab.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "parallel/collectives.h"
#include "parallel/cut.h"
#include "parallel/tensor.h"
#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

void reduce(const at::Tensor& x, ReduceOp op, Communicator& tensor) {
  if (tensor.size() > 1) tensor.all_reduce(buffer_of(x), op, Traffic::kTensor);
}

// Ids of a batch come from the host, where looking at them costs no wait for a device; what a device has
// decoded itself is in the vocabulary.
void check_ids(const at::Tensor& ids, std::int64_t vocabulary) {
  if (ids.numel() == 0 || !ids.is_cpu()) return;
  const std::int64_t low = ids.min().item<std::int64_t>(), high = ids.max().item<std::int64_t>();
  TT_CHECK(low >= 0 && high < vocabulary, "token id {} in a vocabulary of {}", low < 0 ? low : high,
           vocabulary);
}

// Ids as rows of this rank's share; those of other ranks become row 0 and are false in `mine`.
struct LocalIds {
  at::Tensor rows, mine;
};
LocalIds local_ids(const at::Tensor& ids, const Share& share) {
  const at::Tensor shifted = ids - share.begin;
  // Bitwise, since the logical forms know no tensors that have a shape only (experiments/rehearsal.h).
  const at::Tensor mine = shifted.ge(0).bitwise_and(shifted.lt(share.count));
  return {shifted.masked_fill(mine.bitwise_not(), 0), mine};
}

// This rank's rows, of which a tensor of `rows` rows is made.
Share own_rows(std::int64_t vocabulary, std::int64_t rows, const Communicator& tensor) {
  const Share own = share_of_units(vocabulary, 1, tensor.rank(), tensor.size());
  TT_CHECK(own.count == rows, "{} rows of a vocabulary of {} on rank {} of {}", rows, vocabulary,
           tensor.rank(), tensor.size());
  return own;
}

// `highest`: of each token's logits. The host reads what was queued behind messages of `tensor` and others.
void check_finite(const at::Tensor& highest, Communicator& tensor) {
  tensor.settle();
  if (!at::isfinite(highest).all().item<bool>())
    fail(
        "the model's logits are not finite (NaN or infinite), so it has no answer; model.compute: float32 "
        "helps if they grew too large");
}

// What cross entropy is made of, of each token.
struct TargetScores {
  LocalIds local;                  // targets as rows of this rank's share
  at::Tensor exps;                 // exp(logit - highest) of this rank's share, [t, v]
  at::Tensor exp_sum;              // of all ranks', [t]
  at::Tensor log_z, target_logit;  // [t]
};
TargetScores target_scores(const at::Tensor& logits, const at::Tensor& targets, const Share& own,
                           Communicator& tensor) {
  TargetScores scores{local_ids(targets, own), {}, {}, {}, {}};
  at::Tensor highest = std::get<0>(logits.max(1, /*keepdim=*/true));
  reduce(highest, ReduceOp::kMax, tensor);
  scores.exps = (logits - highest).exp_();
  // [sum of exponentials | logit of the target], so that one message carries both.
  const at::Tensor mine = logits.gather(1, scores.local.rows.unsqueeze(1)).squeeze(1) * scores.local.mine;
  const at::Tensor sums = at::stack({scores.exps.sum(1), mine});
  reduce(sums, ReduceOp::kSum, tensor);
  scores.exp_sum = sums[0];
  scores.target_logit = sums[1];
  scores.log_z = sums[0].log() + highest.squeeze(1);
  return scores;
}

void check_targets(const at::Tensor& logits, const at::Tensor& targets, std::int64_t vocabulary) {
  TT_CHECK(logits.scalar_type() == at::kFloat && logits.dim() == 2 && logits.size(0) == targets.numel(),
           "cross entropy of {} targets with {} logits", targets.numel(), logits.numel());
  check_ids(targets, vocabulary);
}

// Keeps the gradient itself instead of the logits: it is needed once, and only scaled by then.
class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& targets, double z_loss, const Share& own,
                            Communicator* tensor) {
    const TargetScores scores = target_scores(logits, targets, own, *tensor);
    const at::Tensor& log_z = scores.log_z;
    const at::Tensor loss = (log_z - scores.target_logit + z_loss * log_z.square()).sum();
    // d/dlogits = softmax * (1 + 2 z log Z) - onehot
    const at::Tensor gradient = scores.exps.mul_(((1 + 2 * z_loss * log_z) / scores.exp_sum).unsqueeze(1));
    gradient.scatter_add_(1, scores.local.rows.unsqueeze(1), -scores.local.mine.to(at::kFloat).unsqueeze(1));
    context->save_for_backward({gradient});
    return loss;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    return {context->get_saved_variables()[0] * grads[0], at::Tensor(), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor vocab_parallel_embedding(const at::Tensor& table, const at::Tensor& ids, std::int64_t vocabulary,
                                    Communicator& tensor) {
  return leave_tensor_region(vocab_parallel_embedding_part(table, ids, vocabulary, tensor), tensor);
}

at::Tensor vocab_parallel_embedding_part(const at::Tensor& table, const at::Tensor& ids,
                                         std::int64_t vocabulary, const Communicator& tensor) {
  check_ids(ids, vocabulary);
  const at::Tensor here = upload(ids, table.device());
  if (tensor.size() == 1) return at::embedding(table, here);
  const LocalIds local = local_ids(here, own_rows(vocabulary, table.size(0), tensor));
  return at::embedding(table, local.rows) * local.mine.to(table.scalar_type()).unsqueeze(1);
}

at::Tensor vocab_parallel_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, double z_loss,
                                        std::int64_t vocabulary, Communicator& tensor) {
  check_targets(logits, targets, vocabulary);
  return CrossEntropy::apply(logits, upload(targets, logits.device()), z_loss,
                             own_rows(vocabulary, logits.size(1), tensor), &tensor);
}

at::Tensor vocab_parallel_log_likelihoods(const at::Tensor& logits, const at::Tensor& ids,
                                          std::int64_t vocabulary, Communicator& tensor) {
  const c10::NoGradGuard no_grad;
  check_ids(ids, vocabulary);
  at::Tensor highest = std::get<0>(logits.max(1, /*keepdim=*/true));
  check_finite(highest, tensor);
  reduce(highest, ReduceOp::kMax, tensor);
  const LocalIds local =
      local_ids(upload(ids, logits.device()), own_rows(vocabulary, logits.size(1), tensor));
  const at::Tensor below = logits - highest;
  const at::Tensor asked = below.index_select(1, local.rows) * local.mine;
  // [logits of the ids | sum of exponentials], so that one message carries both.
  const at::Tensor sums = at::cat({asked, below.exp_().sum(1, /*keepdim=*/true)}, 1);
  reduce(sums, ReduceOp::kSum, tensor);
  const std::int64_t count = ids.numel();
  return sums.narrow(1, 0, count) - sums.narrow(1, count, 1).log();
}

at::Tensor vocab_parallel_argmax(const at::Tensor& logits, std::int64_t vocabulary, Communicator& tensor) {
  auto [value, index] = logits.max(1);
  check_finite(value, tensor);
  if (tensor.size() == 1) return index;
  at::Tensor best = value.contiguous().clone();
  reduce(best, ReduceOp::kMax, tensor);
  const Share own = own_rows(vocabulary, logits.size(1), tensor);
  at::Tensor id = (index + own.begin).masked_fill(value.lt(best), vocabulary).neg_();
  reduce(id, ReduceOp::kMax, tensor);
  return id.neg_();
}

}  // namespace trimtab
