// SPDX-License-Identifier: Apache-2.0
//
// Trained tensors that live on more than one stage: an embedding table that is the output head as well, the
// relative-bias table of every layer. Each stage has its own copy; the sum of the copies' gradients on each
// of them keeps the copies equal. Only the stages that hold a copy talk, and only about it.
#pragma once

#include <string>
#include <vector>

#include "parallel/parameter.h"
#include "runtime/communicator.h"

namespace trimtab {

class SharedByStages {
 public:
  // Collective over `pipe`, which must outlive this: finds by name which of the stages' parameters are the
  // same.
  SharedByStages(const Parameters& parameters, Communicator& pipe);

  // Replaces the gradient of each shared parameter by the sum over its stages, taken in the order of the
  // stages and in float32, hence the same bits on each. A missing gradient counts as zeros. `parameters` as
  // before. Once after the backward passes of a step, before the sum over replicas.
  void sum(const Parameters& parameters);

  // This stage's shared parameters, sorted.
  std::vector<std::string> names() const;
  // Of two stages that hold a copy, the first one counts it: for norms and for saving. True for what is not
  // shared, too.
  bool counts_here(const std::string& name) const;

 private:
  struct Shared {
    std::string name;
    std::vector<int> stages;  // that hold a copy, this one included, in order
  };

  Communicator& pipe_;
  std::vector<Shared> shared_;  // sorted by name
};

}  // namespace trimtab
