// SPDX-License-Identifier: Apache-2.0
//
// Prefix tuning (Li and Liang 2021): keys and values of P positions are trained in front of each row, in
// every layer; with the reparameterising MLP of the paper, or directly (P-tuning v2, Liu et al. 2022).
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct PrefixTuningOptions {
  std::int64_t length = 20;
  bool encoder = true;
  bool decoder = true;
  bool cross = true;
  std::string reparameterisation = "none";
  std::int64_t hidden = 512;
  double init_std = 0.02;

  bool operator==(const PrefixTuningOptions&) const = default;
};

template <class V>
void describe(V& v, PrefixTuningOptions& s) {
  v.field("length", s.length, "Trained positions in front of each row, in every layer.",
          {.min = 1, .max = 4096, .unit = "positions"});
  v.field("encoder", s.encoder, "In the self-attention of the encoder.");
  v.field("decoder", s.decoder, "In the self-attention of the decoder, or of a decoder-only model.");
  v.field("cross", s.cross, "In the decoder's attention to the encoder.");
  v.field("reparameterisation", s.reparameterisation,
          "none: keys and values are trained themselves; mlp: they come from a network of one hidden layer "
          "over one trained embedding a position.",
          {.choices = {"none", "mlp"}});
  v.field("hidden", s.hidden, "mlp: width of the hidden layer.", {.min = 1});
  v.field("init_std", s.init_std, "Standard deviation of what is drawn to begin with.", {.min = 0});
}

std::unique_ptr<TuningMethod> make_prefix_tuning(Subtree& options);

}  // namespace trimtab
