// SPDX-License-Identifier: Apache-2.0
//
// What an experiment would need on each mesh of so many ranks: memory, messages and seconds, without running
// it. Put together of the parts that a run uses: its checks and stages (rehearsal.h), its schedule
// (timeline.h), its memory check (memory_plan.h), its costs (BaseModel::cost_units).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/device_table.h"
#include "experiments/experiment_config.h"
#include "experiments/memory_plan.h"
#include "experiments/timeline.h"
#include "runtime/communicator.h"
#include "runtime/mesh.h"

namespace trimtab {

struct PlanRequest {
  ExperimentConfig config;
  int ranks = 1;
  int per_node = 1;
  std::string model;                  // model_of_shape() in place of model.weights; "": those
  std::string device = "cpu";         // as device_named() knows it; model.device follows from it
  std::optional<RowLengths> lengths;  // without the positions of the method; none: those of the data
};

// Fills in ranks and per_node from those that were named, 0: not named. Ranks are those of the nodes, else of
// the experiment's mesh; a node has 8 accelerators, and a machine of processors has room for all ranks.
// Throws ConfigError for numbers that do not fit each other.
void place_ranks(PlanRequest& request, int ranks, int nodes, int per_node);

struct PlannedStage {
  std::string units;  // "encoder 0 to encoder 11"
  double cost = 0.0;  // operations of one row, forward and backward
  RankMemory memory;
  TrafficCounters traffic;  // of its first tensor rank in the first replica, over planned_steps()
};

struct MeshPlan {
  Mesh mesh;
  std::string refused;  // why a run would be refused on it; "": it would not
  bool own = false;     // the experiment's
  bool fits = true;
  std::vector<PlannedStage> stages;
  int micro_batches = 0;  // of the first replica's first step
  Timeline timeline;      // of the first step's passes
  // Seconds of a step: the passes, the sum of gradients over the replicas, the update; of a score of
  // evaluate.split; and of the whole run.
  double passes = 0.0, reduction = 0.0, update = 0.0, score = 0.0, run = 0.0;

  double step() const { return passes + reduction + update; }
  std::int64_t peak() const;  // of the fullest rank
};

struct StepPlan {
  Device device;
  std::string model, rows;  // in words
  std::int64_t trained = 0;
  std::vector<MeshPlan> meshes;  // those that fit, by seconds; the others, by memory; those that are refused
};

// Steps over whose rows traffic and memory are counted: the first ones.
inline constexpr int kPlannedSteps = 4;

// Throws ConfigError for what no mesh could run.
StepPlan plan_steps(const PlanRequest& request);

}  // namespace trimtab
