// SPDX-License-Identifier: Apache-2.0
//
// A run's state in one tensor store: what is trained, the optimizer's state, and what both belong to. The
// base model is not in it, only its hash, so that a prompt's checkpoint is a few kilobytes and is refused
// beside another model.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parallel/optimizer.h"
#include "parallel/parameter.h"
#include "runtime/atomic_file.h"
#include "runtime/tensor_store.h"
#include "runtime/world.h"

namespace trimtab {

// No times: the same run gives the same bytes, however often it was stopped.
struct CheckpointInfo {
  std::string method;           // "prompt_tuning", ... or "pretraining"
  std::string config;           // the resolved experiment
  std::string weights;          // where the base model was read from
  std::string base_hash;        // of the base as it was read (base_hash.h)
  std::string vocabulary_hash;  // of the SentencePiece model
  std::string data_hash;        // of the tokenised rows that are trained on; "" where nobody noted them
  std::int64_t step = 0;        // steps made
  std::int64_t best_step = -1;
  double best_score = 0.0;
  std::int64_t evaluations_without_gain = 0;  // for early stopping
  std::int64_t evaluated_step = -1;           // the last step that was scored
};

// Written by rank 0, whatever mesh holds the parameters: the file knows nothing of it. Collective over the
// first replica's ranks, which each pass what counts there. Appears under `path` whole or not at all. `state`
// may be null; `results` are what a trained network comes to (TuningMethod::results). Throws Error that names
// the file.
void save_checkpoint(World& world, const std::string& path, const CheckpointInfo& info,
                     const Parameters& parameters, const OptimizerState* state,
                     const std::vector<NamedSlice>& results = {});
// The same in two parts, for a state that is small: gathered in the memory of a replica's first rank,
// collectively over the replica's ranks, and written there alone. Results of networks are left out.
struct GatheredState {
  std::vector<std::pair<std::string, at::Tensor>> tensors;  // under their names in the file; copies
  std::int64_t optimizer_step = -1;
};
GatheredState gather_state(World& world, const Parameters& parameters, const OptimizerState& state);
void write_state(const std::string& path, const CheckpointInfo& info, const GatheredState& state,
                 Durability durability);
// The same where one rank holds all.
void save_checkpoint(const std::string& path, const CheckpointInfo& info, const Parameters& parameters,
                     const OptimizerState* state);

// Which part of a checkpoint a rank reads.
struct CheckpointShare {
  int tensor_rank = 0, tensor_ranks = 1;
  std::set<std::string> elsewhere{};  // parameters that other stages hold
};

// SHA-256 over what is trained and the optimizer's state: equal on ranks that hold the same. `whole_only`:
// only over what every tensor rank holds whole.
std::string state_hash(const Parameters& parameters, const OptimizerState& state, bool whole_only = false);

class Checkpoint {
 public:
  // Reads all of it once: throws Error that names file and tensor when a byte is not what was written.
  explicit Checkpoint(const std::string& path);

  const CheckpointInfo& info() const { return info_; }
  const TensorStore& store() const { return store_; }

  // Throw ConfigError that says what the file was made with, what is there now, and what to change.
  void check_base(const std::string& hash, const std::string& weights) const;
  void check_vocabulary(const std::string& hash, const std::string& path) const;
  void check_method(const std::string& method) const;
  void check_data(const std::string& hash) const;

  // Overwrites the values by this rank's share of the file. Throws Error that names each parameter that is
  // missing, unknown or of another shape.
  void load_values(const Parameters& parameters, const CheckpointShare& share = {}) const;
  bool has_state() const;
  // This rank's share, cut as `like` is; what `like` does not know and no other stage holds is there as it
  // is.
  OptimizerState state(const OptimizerState& like = {}, const CheckpointShare& share = {}) const;

  // Names of the trained tensors, as their parameters are called.
  std::vector<std::string> values() const;
  // A trained tensor in float32.
  at::Tensor value(const std::string& name) const;
  // What the run comes to, and all that is needed to use it: the results of a trained network, or else what
  // was trained itself.
  std::vector<std::string> results() const;
  at::Tensor result(const std::string& name) const;

 private:
  std::vector<std::string> names_behind(std::string_view mark) const;
  at::Tensor read(const std::string& stored_name, DType type) const;
  at::Tensor read_share(const std::string& stored_name, DType type, const Cut& cut,
                        const CheckpointShare& share) const;

  TensorStore store_;
  CheckpointInfo info_;
};

}  // namespace trimtab
