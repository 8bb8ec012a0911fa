// SPDX-License-Identifier: Apache-2.0
#include "models/methods/model_tuning.h"

namespace trimtab {
namespace {

class ModelTuning final : public TuningMethod {
 public:
  explicit ModelTuning(Subtree& subtree) { read<ModelTuningOptions>(subtree); }

  Parameters attach(ModelStage& stage, const MethodContext&) override { return stage.trainable_base(); }
  bool set_enabled(ModelStage&, bool) override { return false; }
  bool trains_base() const override { return true; }
  double suggested_learning_rate() const override { return 0.001; }
};

}  // namespace

std::unique_ptr<TuningMethod> make_model_tuning(Subtree& options) {
  return std::make_unique<ModelTuning>(options);
}

}  // namespace trimtab
