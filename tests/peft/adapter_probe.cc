// SPDX-License-Identifier: Apache-2.0
//
// trimtab's side of the comparison with PEFT, on a golden case's model and rows:
//
//   adapter_probe make CASE METHOD CHECKPOINT           a checkpoint of the method with values of some size
//   adapter_probe score CASE METHOD CHECKPOINT OUT      the logits of the checkpoint, as safetensors
//
// METHOD is the section of an experiment, in YAML. CHECKPOINT may be "-" for the method as it begins.
#include <ATen/ATen.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "models/formats/safetensors.h"
#include "models/golden_case.h"
#include "models/methods/tuning_method.h"
#include "runtime/check.h"
#include "runtime/config.h"

namespace trimtab::test {
namespace {

struct Experiment {
  Subtree method{"prompt_tuning"};
};
template <class V>
void describe(V& v, Experiment& s) {
  v.field("method", s.method, "What is compared.");
}

// A golden case's model with a method attached.
class Tuned {
 public:
  Tuned(const std::string& name, const std::string& method)
      : golden_(name), world_(solo_world()), stage_(golden_.stage(world_)) {
    experiment_ = parse_config<Experiment>("method: " + method, "METHOD");
    method_ = make_method(experiment_.method);
    MethodContext context;
    context.pieces = golden_.model().vocabulary();
    context.seed = 1;
    parameters_ = method_->attach(*stage_, context);
  }

  // Far from where it began, so that a part that is lost is seen.
  void make(const std::string& path) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      at::Tensor value = parameters_[i].value();
      const at::Tensor wave =
          at::arange(value.numel(), at::kDouble).mul(1.7).add(static_cast<double>(i)).sin();
      value.add_(wave.view(value.sizes()).to(at::kFloat), 0.4);
    }
    CheckpointInfo info;
    info.method = experiment_.method.name();
    info.config = dump_config(experiment_);
    info.weights = golden_.model().weights().path();
    info.base_hash = weights_hash(golden_.model().weights());
    World alone = solo_world();
    save_checkpoint(alone, path, info, parameters_, nullptr, method_->results());
  }

  void score(const std::string& checkpoint, const std::string& out) {
    if (checkpoint != "-") {
      const Checkpoint file(checkpoint);
      file.check_base(weights_hash(golden_.model().weights()), golden_.model().weights().path());
      file.check_method(experiment_.method.name());
      file.load_values(parameters_);
    }
    const MicroBatch batch = golden_.batch();
    const StageIO io = stage_->forward({}, batch, {});
    const at::Tensor logits = stage_->logits(io).detach().contiguous();
    const at::Tensor loss =
        stage_->loss(stage_->forward({}, batch, {}), batch, 0.0).loss.detach().to(at::kFloat);
    SafetensorsWriter writer(out, {{"logits", {DType::kFloat32, logits.sizes().vec()}}, {"loss", {}}});
    writer.append(logits.const_data_ptr(), static_cast<std::size_t>(logits.nbytes()));
    writer.append(loss.const_data_ptr(), sizeof(float));
    writer.commit();
  }

 private:
  GoldenCase golden_;
  World world_;
  std::unique_ptr<ModelStage> stage_;
  Experiment experiment_;
  std::unique_ptr<TuningMethod> method_;
  Parameters parameters_;
};

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 4 && arguments[0] == "make") {
    Tuned(arguments[1], arguments[2]).make(arguments[3]);
    return 0;
  }
  if (arguments.size() == 5 && arguments[0] == "score") {
    Tuned(arguments[1], arguments[2]).score(arguments[3], arguments[4]);
    return 0;
  }
  std::fprintf(stderr, "adapter_probe make CASE METHOD CHECKPOINT | score CASE METHOD CHECKPOINT OUT\n");
  return 2;
}

}  // namespace
}  // namespace trimtab::test

int main(int count, char** arguments) {
  try {
    return trimtab::test::run({arguments + 1, arguments + count});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "adapter_probe: %s\n", error.what());
    return 1;
  }
}
