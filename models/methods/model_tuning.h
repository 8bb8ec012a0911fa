// SPDX-License-Identifier: Apache-2.0
//
// Model tuning, the baseline of the paper (section 3.1): every weight of the model is trained.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct ModelTuningOptions {
  bool operator==(const ModelTuningOptions&) const = default;
};

template <class V>
void describe(V&, ModelTuningOptions&) {}

std::unique_ptr<TuningMethod> make_model_tuning(Subtree& options);

}  // namespace trimtab
