// SPDX-License-Identifier: Apache-2.0
//
// LoRA (Hu et al. 2022): beside chosen linear maps W a term of low rank is trained, W x + alpha / rank B A x.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct LoraOptions {
  std::int64_t rank = 8;
  double alpha = 16.0;
  double dropout = 0.0;
  std::vector<std::string> targets;

  bool operator==(const LoraOptions&) const = default;
};

template <class V>
void describe(V& v, LoraOptions& s) {
  v.field("rank", s.rank, "Rows of A and columns of B.", {.min = 1, .max = 4096});
  v.field("alpha", s.alpha, "The term is multiplied by alpha / rank.", {.min = 0, .above_min = true});
  v.field("dropout", s.dropout,
          "Share of the term's input columns dropped while training, drawn once a row of text.",
          {.min = 0, .max = 0.99});
  v.field("targets", s.targets,
          "Linear maps by name or by the last parts of it, such as q or SelfAttention.q; none: the queries "
          "and values of every attention.");
}

std::unique_ptr<TuningMethod> make_lora(Subtree& options);

}  // namespace trimtab
