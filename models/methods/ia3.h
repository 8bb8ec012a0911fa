// SPDX-License-Identifier: Apache-2.0
//
// IA3 (Liu et al. 2022): factors are trained, one for each output of chosen linear maps, or for each input of
// the second map of a feed-forward block.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct Ia3Options {
  std::vector<std::string> targets;
  std::vector<std::string> feed_forward;

  bool operator==(const Ia3Options&) const = default;
};

template <class V>
void describe(V& v, Ia3Options& s) {
  v.field("targets", s.targets,
          "Linear maps whose outputs get factors, by name or by the last parts of it; neither these nor "
          "feed_forward: the keys and values of every attention.");
  v.field("feed_forward", s.feed_forward,
          "Linear maps whose inputs get factors; neither these nor targets: the last map of every "
          "feed-forward block.");
}

std::unique_ptr<TuningMethod> make_ia3(Subtree& options);

}  // namespace trimtab
