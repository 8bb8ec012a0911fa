// SPDX-License-Identifier: Apache-2.0
//
// What a rank needs of memory, part by part, before a weight is read: BaseModel::planned_bytes at the moments
// that need most, and what the program holds beside the model. The same count refuses a run at its start and
// is shown by `trimtab plan`.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "experiments/experiment_config.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"
#include "parallel/schedule.h"

namespace trimtab {

// Bytes of one rank. Training and scoring take turns, so the peak is that of the greater.
struct RankMemory {
  std::int64_t program = 0;        // the process with its libraries, before any weight
  std::int64_t weights = 0;        // with gradients and masters where the base is trained
  std::int64_t trained = 0;        // values, gradients and copies of what a method attaches, optimizer
  std::int64_t activations = 0;    // kept for backward passes
  std::int64_t working = 0;        // of the micro-batch that is being computed
  std::int64_t communication = 0;  // sent, received and summed up
  std::int64_t caches = 0;         // of decoding
  std::int64_t decoding = 0;       // of the micro-batch that is being scored

  std::int64_t training() const {
    return program + weights + trained + activations + working + communication;
  }
  std::int64_t scoring() const { return program + weights + trained + caches + decoding; }
  std::int64_t peak() const { return training() > scoring() ? training() : scoring(); }
};

// What a stage runs.
struct StageLoad {
  UnitRange units;
  int stage = 0;
  int first_trained = 0;                  // stages before it keep nothing
  std::vector<std::vector<Batch>> steps;  // the micro-batches of some steps, as this rank runs them
  PassSize scored;                        // the largest micro-batch that is scored
  int scored_at_once = 1;                 // micro-batches whose caches are there at the same time
  std::int64_t trained_bytes = 0;
};

// Rows of a batch with the trained positions of each.
PassSize size_of(const Batch& batch, const TuningMethod& method);

// Of the rows of a batch, without trained positions.
RowLengths mean_lengths_of(const Batch& batch);
RowLengths with_positions(RowLengths lengths, const TuningMethod& method);

RankMemory rank_memory(const BaseModel& model, const ExperimentConfig& config, const TuningMethod& method,
                       const StageLoad& load);

// A micro-batch that fills the budget of scoring with rows of these mean lengths, trained positions included.
PassSize scored_size(const ExperimentConfig& config, const RowLengths& lengths);

// `needed` is one rank's, of which `ranks` share the memory of this machine. Throws ConfigError with needed
// and available bytes and the keys that help. `available` 0 (not known) is enough.
void check_fits_memory(std::int64_t needed, std::uint64_t available, int ranks,
                       const ExperimentConfig& config);

}  // namespace trimtab
