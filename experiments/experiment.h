// SPDX-License-Identifier: Apache-2.0
//
// An experiment file put together: model, method, task and mesh meet here.
// Built in the order of cost, so that what cannot work is said before a weight is read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/task.h"
#include "data/text_recipe.h"
#include "data/tokenizer.h"
#include "experiments/checkpoint.h"
#include "experiments/core_share.h"
#include "experiments/evaluator.h"
#include "experiments/experiment_config.h"
#include "experiments/label_ranking.h"
#include "experiments/model_runner.h"
#include "experiments/scored_splits.h"
#include "experiments/served_prompts.h"
#include "experiments/training_rows.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"
#include "models/model.h"
#include "runtime/world.h"

namespace trimtab {

// What the training split is read for; `kNone` for evaluating and predicting only.
enum class TrainingData { kNone, kLoad };

// Whether both name the same frozen model, cut in the same way.
bool share_model(const ExperimentConfig& a, const ExperimentConfig& b);

// The config with every default that method and task have. Throws ConfigError for unknown names and options.
ExperimentConfig resolved(ExperimentConfig config);

class Experiment {
 public:
  // Throws ConfigError for what cannot work, Error for files that are not as they should be. `world` must
  // outlive this. `should_stop` is asked between the long parts; when it says yes on any rank, Interrupted is
  // thrown on all.
  Experiment(ExperimentConfig config, World& world, TrainingData training,
             const std::function<bool()>& should_stop = {});
  // Beside another experiment, whose frozen model it uses: they train by turns, see activate(). Throws
  // ConfigError unless they name the same model and mesh.
  Experiment(ExperimentConfig config, Experiment& beside, const std::function<bool()>& should_stop = {});
  // For using prompts that other runs have trained on this frozen model, each a lane in the order of the
  // list, in place of what `config` trains. Throws ConfigError that names a prompt of another base or
  // vocabulary.
  Experiment(ExperimentConfig config, World& world, std::vector<PromptFile> prompts,
             const std::function<bool()>& should_stop = {});
  ~Experiment();

  const ExperimentConfig& config() const { return config_; }
  World& world() { return world_; }
  ModelStage& stage() { return *frozen_->stage; }
  ModelRunner& runner() { return *runner_; }
  TuningMethod& method() { return *method_; }
  const Task& task() const { return *task_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TextRecipe& recipe() const { return *recipe_; }
  const Parameters& parameters() const { return parameters_; }

  // From now on the frozen model computes with what this experiment trains. Needed before any use of the
  // runner where several experiments share the model.
  void activate();
  // What of a checkpoint is this rank's.
  const CheckpointShare& checkpoint_share() const { return share_; }

  // train.dropout, or where it is absent what the model is usually trained with.
  double dropout() const;
  // Trained numbers of this run, on all ranks of a replica together.
  std::int64_t trained_count() const { return trained_count_; }
  // Which stage runs which layers, a line a stage; "" for one stage.
  const std::string& plan() const { return plan_; }
  // SHA-256 of the base as its file has it.
  const std::string& base_hash() const { return base_hash_; }
  // SHA-256 of the tokenised training rows; "" where there are none.
  std::string data_hash() const { return rows_ ? rows_->hash() : ""; }
  // Things worth saying before the run starts: settings that are known to train badly, cut texts.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // This replica's rows of a step, as a pure function of (seed, step).
  std::vector<MicroBatch> train_micro_batches(std::int64_t step);
  // A few rows of the first step, the same on every replica.
  std::vector<MicroBatch> probe_rows(std::int64_t rows);
  // Id of the example behind a row of that step.
  std::string train_row_name(std::int64_t step, std::uint64_t sample);

  // The first example of the training split, or where nothing is trained of evaluate.split, as the model
  // reads it, as in "[20 trained] ▁it ▁goes </s> -> ▁yes
  // </s>": pieces, and how many trained positions stand where; "" where there is none.
  std::string first_example() const;

  // Puts what a run trained into the model. Throws ConfigError when the checkpoint is of another base,
  // vocabulary or method.
  void load_trained(const std::string& checkpoint);

  // What a trained run is scored on at its end: evaluate.split, the test split if it is there with its
  // targets, and the names of evaluate.transfer.
  const std::vector<std::string>& scored_splits() const { return scored_->names(); }
  // How the model answers: generates or ranks, through the lanes of the method.
  AnswerOptions answer_options() const;
  // Of a split, or of an entry of evaluate.transfer. Read on first use, by all ranks, which must find the
  // same rows.
  const Evaluator& evaluator(const std::string& name);
  // The same, each example through its own lane.
  const Evaluator& evaluator(const std::string& name,
                             std::function<std::int32_t(const TextExample&)> lane_of);

 private:
  // Compares its rows on all ranks when it is made, hence collective.
  const Evaluator& checked_evaluator(const std::string& name, AnswerOptions options);
  // A stage, and the method whose adapters are in it.
  struct FrozenModel {
    std::unique_ptr<ModelStage> stage;
    TuningMethod* active = nullptr;
  };
  void build(TrainingData training, const Experiment* beside, const std::function<bool()>& should_stop);
  void open_model();
  void load_training_rows();
  std::vector<Batch> share_of_step(std::int64_t step);
  void check_memory();
  void check_same_settings();
  void check_same_files();
  void make_stage();
  RowLengths mean_lengths();
  UnitRange stage_units();
  void attach();
  void find_checkpoint_share();
  std::int64_t count_trained();

  ExperimentConfig config_;
  World& world_;
  std::unique_ptr<ServedPrompts> prompts_;  // null where the config's own method is used
  std::unique_ptr<TuningMethod> method_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<BaseModel> model_;  // what is known of the weights before they are read
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<TextRecipe> recipe_;
  std::vector<PromptPlace> places_;
  std::unique_ptr<LabelRanking> ranking_;
  std::unique_ptr<ScoredSplits> scored_;
  std::unique_ptr<TrainingRows> rows_;  // null where none are trained on
  std::shared_ptr<FrozenModel> frozen_;
  std::unique_ptr<ModelRunner> runner_;
  Parameters parameters_;
  std::int64_t trained_count_ = 0;
  CheckpointShare share_;
  UnitRange units_;  // of this rank's stage
  CoreShare cores_;
  std::string base_hash_, plan_;
  std::vector<std::string> warnings_;
};

}  // namespace trimtab
