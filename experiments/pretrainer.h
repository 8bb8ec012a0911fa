// SPDX-License-Identifier: Apache-2.0
//
// Trains a whole T5 on plain text, from random weights or from a file: span corruption, or prefix LM to adapt
// one. Made to run for hours alone: it checkpoints all that it needs (weights and optimizer), goes on from
// the last checkpoint bit for bit, and exports the model with its vocabulary as one file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "data/pretraining.h"
#include "data/tokenizers/t5_tokenizer.h"
#include "experiments/checkpoint.h"
#include "experiments/model_runner.h"
#include "experiments/pretrain_config.h"
#include "experiments/run_report.h"
#include "experiments/train_step.h"
#include "models/model.h"
#include "models/t5/t5_config.h"
#include "parallel/optimizer.h"
#include "runtime/world.h"

namespace trimtab {

class Pretrainer {
 public:
  // Reads vocabulary, text and weights; goes on from output/last.h5 if it is there. Throws ConfigError for a
  // recipe that cannot work or that differs from the checkpoint's. `world` and `console` must outlive this.
  Pretrainer(PretrainConfig config, World& world, Console& console);
  ~Pretrainer();

  // Trains to the last step, then exports. Returns false when `should_stop` said so: the state is saved.
  bool run(const std::function<bool()>& should_stop);

 private:
  OptimizerConfig optimizer_config() const { return config_.optimizer.resolved(); }
  void load_model(World& world);
  void resume();
  void check_memory() const;
  // Writes that it failed, whatever the reason.
  void fail_run();
  bool make_steps(const std::function<bool()>& should_stop);
  void make_step(std::int64_t n);
  void validate(std::int64_t n);
  void save();
  // Writes the model as it is now to export.path, or model.h5 in the run folder, with `suffix` behind its
  // stem.
  void export_model(const std::string& suffix);

  PretrainConfig config_;
  Console& console_;
  RunFolder folder_;
  std::unique_ptr<T5Tokenizer> tokenizer_;
  T5Config shape_;
  std::unique_ptr<ModelStage> stage_;
  Parameters parameters_;
  std::unique_ptr<PretrainingData> data_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<ModelRunner> runner_;
  std::unique_ptr<TrainStep> train_step_;
  std::unique_ptr<RunReport> report_;
  CheckpointInfo info_;  // where the run is
  RunRecord record_;
};

}  // namespace trimtab
