// SPDX-License-Identifier: Apache-2.0
//
// P-tuning (Liu et al. 2021, "GPT understands, too"): the prompt's rows come from a small trained network
// over one embedding a position. The rows alone are what is used afterwards.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct PTuningOptions {
  std::int64_t length = 20;
  std::string encoder = "mlp";
  std::int64_t hidden = 0;
  std::int64_t layers = 2;
  double init_std = 0.02;

  bool operator==(const PTuningOptions&) const = default;
};

template <class V>
void describe(V& v, PTuningOptions& s) {
  v.field("length", s.length, "Trained positions in front of each input.",
          {.min = 1, .max = 4096, .unit = "positions"});
  v.field("encoder", s.encoder,
          "mlp: three linear maps with ReLU between them; lstm: a bidirectional LSTM and two linear maps.",
          {.choices = {"mlp", "lstm"}});
  v.field("hidden", s.hidden, "Width of the network's hidden states; 0: the model's width.", {.min = 0});
  v.field("layers", s.layers, "lstm: its layers.", {.min = 1, .max = 8});
  v.field("init_std", s.init_std, "Standard deviation of the embeddings to begin with.", {.min = 0});
}

std::unique_ptr<TuningMethod> make_p_tuning(Subtree& options);

}  // namespace trimtab
