// SPDX-License-Identifier: Apache-2.0
#include "experiments/step_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "data/replica_share.h"
#include "experiments/mesh_check.h"
#include "experiments/planned_rows.h"
#include "experiments/recipe.h"
#include "experiments/rehearsal.h"
#include "models/shapes_only.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

double seconds_on(const Link& link, double messages, double bytes) {
  return messages * link.seconds + bytes / link.bandwidth;
}

// A ring: each rank sends its part around twice.
double all_reduce_seconds(const Link& link, int ranks, double calls, double bytes) {
  if (ranks == 1) return 0.0;
  const double steps = 2.0 * (ranks - 1);
  return seconds_on(link, calls * steps, bytes * steps / ranks);
}

// One mesh after the other, each from the whole to its parts. All but the mesh is the same for all.
class MeshPlanner {
 public:
  MeshPlanner(const PlanRequest& request, const Device& device, const BaseModel& model,
              const TuningMethod& method, const PlannedRows& rows, MethodContext context)
      : request_(request),
        device_(device),
        model_(model),
        method_(method),
        rows_(rows),
        context_(std::move(context)) {}

  MeshPlan plan(const Mesh& mesh) {
    MeshPlan out;
    out.mesh = mesh;
    config_ = request_.config;
    out.own = mesh == mesh_of(config_);
    config_.mesh.data = mesh.size(Axis::kData);
    config_.mesh.pipe = mesh.size(Axis::kPipe);
    config_.mesh.tensor = mesh.size(Axis::kTensor);
    try {
      check_mesh(config_, request_.ranks);
      check_inside_node(mesh);
      count(out);
    } catch (const ConfigError& error) {
      out.refused = error.what();
      out.stages.clear();
    }
    return out;
  }

 private:
  void check_inside_node(const Mesh& mesh) const {
    if (request_.per_node % mesh.size(Axis::kTensor) != 0)
      fail_config("mesh.tensor: {} ranks that share each layer do not lie inside a node of {}",
                  mesh.size(Axis::kTensor), request_.per_node);
  }

  void count(MeshPlan& out) {
    const RowLengths lengths = with_positions(mean_lengths_of(rows_.step(0)), method_);
    const StagePlan stages = balanced_plan(model_.cost_units(lengths), static_cast<int>(config_.mesh.pipe));
    steps_.clear();
    for (int step = 0; step < kPlannedSteps; ++step) steps_.push_back(micro_batches_of(step));
    const Rehearsal rehearsal = rehearse(model_, config_, stages, context_, steps_);
    out.micro_batches = static_cast<int>(steps_[0].size());
    for (int stage = 0; stage < stages.stages(); ++stage) {
      out.stages.push_back(planned_stage(stages, stage, rehearsal));
      out.fits = out.fits && out.stages.back().memory.peak() <= device_.memory;
    }
    if (method_.trains()) time_step(out, stages, rehearsal);
    time_run(out, stages);
  }

  std::vector<Batch> micro_batches_of(int step) const {
    const Batch share =
        replica_share(rows_.step(static_cast<std::uint64_t>(step)), static_cast<int>(config_.mesh.data), 0);
    return micro_batches(share, config_.train.micro_batch_tokens, method_.row_positions());
  }

  PlannedStage planned_stage(const StagePlan& stages, int stage, const Rehearsal& rehearsal) const {
    PlannedStage out;
    const std::string& first = stages.units()[static_cast<std::size_t>(stages.begin(stage))].name;
    const std::string& last = stages.units()[static_cast<std::size_t>(stages.end(stage)) - 1].name;
    out.units = first == last ? first : fmt::format("{} to {}", first, last);
    out.cost = stages.cost(stage);
    const RehearsedStage& facts = rehearsal.stages[static_cast<std::size_t>(stage)];
    out.traffic = facts.traffic;
    StageLoad load;
    load.units = units_of(stages, stage);
    load.stage = stage;
    load.first_trained = rehearsal.first_trained;
    if (method_.trains()) load.steps = steps_;
    load.scored = largest_scored();
    load.scored_at_once = scored_at_once();
    load.trained_bytes = facts.trained_bytes;
    out.memory = rank_memory(model_, config_, method_, load);
    return out;
  }

  // A replica's micro-batches whose caches are there together: as many as stages, if there are so many.
  int scored_at_once() const {
    const std::size_t most = std::max(rows_.scored().size(), rows_.scored_at_the_end().size());
    if (most == 0) return static_cast<int>(config_.mesh.pipe);
    const auto replicas = static_cast<std::size_t>(config_.mesh.data);
    const std::size_t of_replica = (most + replicas - 1) / replicas;
    return static_cast<int>(std::min(of_replica, static_cast<std::size_t>(config_.mesh.pipe)));
  }

  PassSize largest_scored() const {
    if (rows_.scored().empty()) {
      return scored_size(config_, with_positions(mean_lengths_of(rows_.step(0)), method_));
    }
    PassSize largest;
    for (const std::vector<Batch>* batches : {&rows_.scored(), &rows_.scored_at_the_end()})
      for (const Batch& batch : *batches) {
        const PassSize size = size_of(batch, method_);
        if (positions(size) > positions(largest)) largest = size;
      }
    return largest;
  }

  // Operations of one rank for a micro-batch on a stage, forward and backward through frozen weights.
  double operations(const StagePlan& stages, int stage, const PassSize& size) const {
    const auto rows = static_cast<double>(size.rows);
    const RowLengths lengths{std::max(1.0, static_cast<double>(size.input) / rows),
                             std::max(1.0, static_cast<double>(size.target) / rows),
                             static_cast<double>(size.before_target) / rows};
    const std::vector<CostUnit> units = model_.cost_units(lengths);
    double sum = 0.0;
    for (int unit = stages.begin(stage); unit < stages.end(stage); ++unit)
      sum += units[static_cast<std::size_t>(unit)].cost;
    return sum * rows / static_cast<double>(config_.mesh.tensor);
  }

  // A pass reads every weight once, and begins some operations for each layer and, since attention goes row
  // by row on a device, for each row of it.
  double pass_seconds(double operations, std::int64_t weights, int layers, const PassSize& size) const {
    constexpr double kOfLayer = 30, kOfRow = 12;
    const double launches = layers * (kOfLayer + kOfRow * static_cast<double>(size.rows));
    return std::max({operations / (device_.operations * device_.efficiency),
                     static_cast<double>(weights) / device_.bandwidth, launches * device_.launch});
  }

  const Link& link_along(Axis axis) const {
    int stride = 1;  // of neighbours on the axis, tensor being the fastest
    if (axis != Axis::kTensor) stride *= static_cast<int>(config_.mesh.tensor);
    if (axis == Axis::kData) stride *= static_cast<int>(config_.mesh.pipe);
    const auto size = axis == Axis::kTensor ? config_.mesh.tensor
                      : axis == Axis::kPipe ? config_.mesh.pipe
                                            : config_.mesh.data;
    return stride * size <= request_.per_node ? device_.inside : device_.between;
  }

  void time_step(MeshPlan& out, const StagePlan& stages, const Rehearsal& rehearsal) const {
    const std::vector<Batch>& batches = steps_[0];
    std::vector<PassSize> sizes;
    double all = 0.0;
    for (const Batch& batch : batches) {
      sizes.push_back(size_of(batch, method_));
      all += static_cast<double>(positions(sizes.back()));
    }
    const int first = rehearsal.first_trained;
    Durations durations;
    durations.of_work = [&](int stage, const Work& work) {
      const PlannedStage& planned = out.stages[static_cast<std::size_t>(stage)];
      const PassSize& size = sizes[static_cast<std::size_t>(work.micro)];
      // Forward is half of it; the gradients of trained weights are once more as much.
      double share = 0.5;
      if (work.compute == Compute::kBackward && method_.trains_base()) share = 1.0;
      const double compute = pass_seconds(share * operations(stages, stage, size), planned.memory.weights,
                                          stages.end(stage) - stages.begin(stage), size);
      const TrafficCount& tensor = planned.traffic[Traffic::kTensor];
      const double part =
          static_cast<double>(positions(size)) / all / kPlannedSteps / (stage >= first ? 2.0 : 1.0);
      // An all-reduce is, in two calls, what a gathering and a scattering of tokens are.
      const double calls = static_cast<double>(tensor.messages) / kPlannedSteps /
                           static_cast<double>(sizes.size()) / (stage >= first ? 2.0 : 1.0) /
                           (config_.mesh.sequence_parallel ? 2.0 : 1.0);
      return compute + all_reduce_seconds(link_along(Axis::kTensor), static_cast<int>(config_.mesh.tensor),
                                          calls, part * static_cast<double>(tensor.bytes));
    };
    durations.of_message = [&](int, const Message& message) {
      const PassSize& size = sizes[static_cast<std::size_t>(message.of.micro)];
      const double parts = config_.mesh.sequence_parallel ? static_cast<double>(config_.mesh.tensor) : 1.0;
      const double width = static_cast<double>(model_.attention_shape().width) / parts;
      const double element = config_.model.device == "cpu" || config_.model.compute == "float32" ? 4.0 : 2.0;
      return seconds_on(link_along(Axis::kPipe), 1.0, static_cast<double>(positions(size)) * width * element);
    };
    std::vector<Actions> actions;
    for (int stage = 0; stage < stages.stages(); ++stage)
      actions.push_back(schedule_actions(config_.mesh.schedule,
                                         {stages.stages(), static_cast<int>(batches.size()), first}, stage));
    out.timeline = simulate(actions, durations);
    out.passes = out.timeline.seconds;
    for (std::size_t stage = 0; stage < out.stages.size(); ++stage) {
      const TrafficCount& gradient = out.stages[stage].traffic[Traffic::kGradient];
      out.reduction = std::max(
          out.reduction, all_reduce_seconds(link_along(Axis::kData), static_cast<int>(config_.mesh.data),
                                            static_cast<double>(gradient.messages) / kPlannedSteps,
                                            static_cast<double>(gradient.bytes) / kPlannedSteps));
      // Value, gradient and state are read, value and state written, some of it twice.
      constexpr double kTouched = 8.0 * sizeof(float);
      out.update = std::max(
          out.update, static_cast<double>(rehearsal.stages[stage].trained) * kTouched / device_.bandwidth);
    }
  }

  // A score goes through each row forward and reads the weights once for every decoded token; stages and
  // replicas take turns without gaps. The run scores before its first step, and the splits at its end.
  void time_run(MeshPlan& out, const StagePlan& stages) const {
    std::vector<PassSize> batches;
    for (const Batch& batch : rows_.scored()) batches.push_back(size_of(batch, method_));
    double ranks = static_cast<double>(config_.mesh.data * config_.mesh.pipe);
    for (const PassSize& size : batches)
      for (int stage = 0; stage < stages.stages(); ++stage) {
        const auto weights = out.stages[static_cast<std::size_t>(stage)].memory.weights;
        out.score += (pass_seconds(0.5 * operations(stages, stage, size), weights,
                                   stages.end(stage) - stages.begin(stage), size) +
                      static_cast<double>(config_.text.max_target * weights) / device_.bandwidth) /
                     ranks;
      }
    const TrainConfig& train = config_.train;
    const std::int64_t between = train.evaluate_every > 0 ? train.steps / train.evaluate_every : 0;
    const double scores = 2.0 + static_cast<double>(between);
    out.run = static_cast<double>(train.steps) * out.step() + scores * out.score;
  }

  const PlanRequest& request_;
  const Device& device_;
  const BaseModel& model_;
  const TuningMethod& method_;
  const PlannedRows& rows_;
  MethodContext context_;
  ExperimentConfig config_;                // with the mesh that is planned
  std::vector<std::vector<Batch>> steps_;  // their micro-batches on it
};

std::vector<Mesh> meshes_of(int ranks) {
  std::vector<Mesh> out;
  for (int data = 1; data <= ranks; ++data)
    for (int pipe = 1; ranks % data == 0 && pipe <= ranks / data; ++pipe)
      if (ranks / data % pipe == 0) out.emplace_back(data, pipe, ranks / data / pipe);
  return out;
}

// Labels and pieces have no part in what is counted, as long as there are some.
MethodContext context_of(const ExperimentConfig& config, const BaseModel& model) {
  MethodContext context;
  context.labels = {"label"};
  context.encode = [](const std::string&) { return std::vector<std::int32_t>{0}; };
  context.pieces = model.vocabulary();
  context.seed = static_cast<std::uint64_t>(config.train.seed);
  return context;
}

int rank_of(const MeshPlan& plan) { return !plan.refused.empty() ? 2 : plan.fits ? 0 : 1; }

}  // namespace

void place_ranks(PlanRequest& request, int ranks, int nodes, int per_node) {
  for (const auto& [flag, value] :
       {std::pair{"--ranks", ranks}, std::pair{"--nodes", nodes}, std::pair{"--gpus-per-node", per_node}})
    if (value < 0) fail_config("{}: {} is less than 1", flag, value);
  constexpr int kUsual = 8;
  const bool host = request.device == "cpu";
  const auto parts = [](int whole, int part) { return (whole + part - 1) / part; };
  const int own = mesh_of(request.config).size();
  const bool nodes_say = ranks == 0 && (nodes > 0 || per_node > 0);
  if (nodes_say && per_node == 0) per_node = host ? parts(own, nodes) : kUsual;
  if (nodes_say && nodes == 0) nodes = parts(own, per_node);
  request.ranks = ranks > 0 ? ranks : nodes_say ? nodes * per_node : own;
  if (per_node == 0)
    per_node = nodes > 0 ? parts(request.ranks, nodes)
               : host    ? request.ranks
                         : std::min(request.ranks, kUsual);
  if (nodes == 0) nodes = parts(request.ranks, per_node);
  request.per_node = per_node;
  if (request.ranks != nodes * per_node)
    fail_config("--ranks: {} are not {} node{} of {} each (--nodes, --gpus-per-node), which have {}",
                request.ranks, nodes, nodes == 1 ? "" : "s", per_node, nodes * per_node);
}

std::int64_t MeshPlan::peak() const {
  std::int64_t most = 0;
  for (const PlannedStage& stage : stages) most = std::max(most, stage.memory.peak());
  return most;
}

StepPlan plan_steps(const PlanRequest& asked) {
  PlanRequest request = asked;
  ExperimentConfig& config = request.config;
  config.model.device = request.device == "cpu" ? "cpu" : "cuda";
  const auto model = request.model.empty() ? open_model(config.model.weights, config.model.family)
                                           : model_of_shape(request.model);
  forget_weights(*model);
  Subtree options = config.method;
  const auto method = make_method(options);
  check_lengths(config, *model, *method);
  const PlannedRows rows(config, *model, *method, request.lengths);
  StepPlan out;
  const DType compute = config.model.compute == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
  const NodeShare node{request.per_node, static_cast<int>(config.model.threads)};
  out.device = device_named(request.device, compute, node, model->attention_shape());
  out.model = model->summary();
  out.rows = rows.source();
  MeshPlanner planner(request, out.device, *model, *method, rows, context_of(config, *model));
  for (const Mesh& mesh : meshes_of(request.ranks)) out.meshes.push_back(planner.plan(mesh));
  std::ranges::stable_sort(out.meshes, [](const MeshPlan& a, const MeshPlan& b) {
    if (rank_of(a) != rank_of(b)) return rank_of(a) < rank_of(b);
    return rank_of(a) == 1 ? a.peak() < b.peak() : rank_of(a) == 0 && a.step() < b.step();
  });
  return out;
}

}  // namespace trimtab
