// SPDX-License-Identifier: Apache-2.0
#include "experiments/rehearsal.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <map>
#include <utility>

#include "experiments/to_micro_batch.h"
#include "models/model_pass.h"
#include "parallel/optimizer_memory.h"
#include "parallel/stage_run.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

// Shapes of operations for which LibTorch's C++ side knows no rule on the meta device.
at::Tensor shape_of_selected(const at::Tensor& self, std::int64_t dim, const at::Tensor& index) {
  std::vector<std::int64_t> shape = self.sizes().vec();
  shape.at(static_cast<std::size_t>(dim < 0 ? dim + self.dim() : dim)) = index.numel();
  return at::empty(shape, self.options());
}

at::Tensor shape_of_table_gradient(const at::Tensor& gradient, const at::Tensor&, std::int64_t rows,
                                   std::int64_t, bool) {
  return at::empty({rows, gradient.size(-1)}, gradient.options());
}

at::Tensor shape_of_input(const at::Tensor& self) { return at::empty(self.sizes(), self.options()); }

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("relu", shape_of_input);
  library.impl("index_select", shape_of_selected);
  library.impl("embedding_dense_backward", shape_of_table_gradient);
}

// The end of a communicator whose other ends do not exist: messages arrive nowhere and are counted.
class CountingCommunicator final : public Communicator {
 public:
  CountingCommunicator(const std::string& name, const std::vector<int>& members, int world_rank)
      : Communicator(name, members,
                     static_cast<int>(std::ranges::find(members, world_rank) - members.begin()),
                     DeviceKind::kHost) {}

 private:
  void do_all_reduce(const Buffer&, ReduceOp, Traffic) override {}
  void do_reduce_scatter(const ConstBuffer&, const Buffer&, const Parts&, ReduceOp, Traffic) override {}
  void do_all_gather(const ConstBuffer&, const Buffer&, const Parts&, Traffic) override {}
  void do_broadcast(const Buffer&, int, Traffic) override {}
  void do_exchange(std::span<const Send>, std::span<const Receive>, Traffic) override {}
  void do_barrier(Traffic) override {}
};

// A rank that is not there.
struct Actor {
  std::unique_ptr<World> world;
  std::unique_ptr<ModelStage> stage;
  std::unique_ptr<TuningMethod> method;
  Parameters parameters;
};

DType type_of(const ExperimentConfig& config) {
  return config.model.compute == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
}

Actor make_actor(const BaseModel& model, const ExperimentConfig& config, const UnitRange& units, int stage,
                 const MethodContext& context) {
  const Mesh mesh = mesh_of(config);
  const int rank = mesh.rank({.data = 0, .pipe = stage, .tensor = 0});
  Actor actor;
  actor.world =
      std::make_unique<World>(mesh, rank, [rank](const std::vector<int>& members, const std::string& name) {
        return std::make_unique<CountingCommunicator>(name, members, rank);
      });
  // Activations are float32 on the host, whatever the weights are.
  const DType activations = config.model.device == "cpu" ? DType::kFloat32 : type_of(config);
  actor.stage =
      model.make_stage(*actor.world, {units, activations, -1, at::kMeta, config.mesh.sequence_parallel});
  Subtree options = config.method;
  actor.method = make_method(options);
  actor.parameters = actor.method->attach(*actor.stage, context);
  return actor;
}

// Every stage's names, for what several of them hold.
std::map<std::string, std::vector<std::size_t>> holders_of(const std::vector<Actor>& actors) {
  std::map<std::string, std::vector<std::size_t>> holders;
  for (std::size_t stage = 0; stage < actors.size(); ++stage)
    for (const Parameter& parameter : actors[stage].parameters) holders[parameter.name].push_back(stage);
  return holders;
}

class Updates {
 public:
  Updates(const ExperimentConfig& config, const std::vector<Actor>& actors)
      : config_(config), actors_(actors), holders_(holders_of(actors)) {
    for (const Actor& actor : actors) training_stages_ += actor.parameters.empty() ? 0 : 1;
  }

  // What is sent between the last backward pass and the next step (TrainStep, GradientSync, Optimizer).
  void count(std::size_t stage, TrafficCounters& traffic) const {
    const Parameters& parameters = actors_[stage].parameters;
    std::int64_t numbers = 0, shared = 0, sends = 0;
    for (const Parameter& parameter : parameters) {
      const at::Tensor value = parameter.value();
      numbers += value.numel();
      const auto others = static_cast<std::int64_t>(holders_.at(parameter.name).size()) - 1;
      shared += others * value.numel() * value.element_size();
      sends += others;
    }
    if (sends > 0) add(traffic, sends, shared);
    // [ gradients | loss | tokens ] in buckets of 2^24 numbers.
    constexpr std::int64_t kTotals = 2, kBucket = std::int64_t{1} << 24;
    if (config_.mesh.data > 1)
      add(traffic, (numbers + kTotals + kBucket - 1) / kBucket, 4 * (numbers + kTotals));
    const OptimizerConfig optimizer = config_.optimizer.resolved(
        actors_[stage].method->suggested_learning_rate(), actors_[stage].method->trains_base());
    if (config_.mesh.tensor > 1)
      for (const std::int64_t values : sums_over_slices(parameters, optimizer))
        if (values > 0) add(traffic, 1, 8 * values);
    const int norms = optimizer.global_norm_clip > 0 ? 2 : 1;
    if (training_stages_ > 1) add(traffic, norms, 8 * norms);
  }

 private:
  static void add(TrafficCounters& traffic, std::int64_t messages, std::int64_t bytes) {
    TrafficCount& count = traffic.counts[static_cast<std::size_t>(Traffic::kGradient)];
    count.calls += messages;
    count.messages += messages;
    count.bytes += bytes;
  }

  // Of each call of SliceSums::combine the values that run along a cut.
  std::vector<std::int64_t> sums_over_slices(const Parameters& parameters,
                                             const OptimizerConfig& optimizer) const {
    std::int64_t cut = 0, moments = 0, row_means = 0;
    for (const Parameter& parameter : parameters) {
      if (parameter.cut == kWhole) continue;
      ++cut;
      const Shape whole = whole_shape(parameter);
      if (whole.size() != 2 || std::min(whole[0], whole[1]) < optimizer.min_dim_size_to_factor) continue;
      const at::Tensor value = parameter.value();
      // Means of rows run along columns, and the other way round.
      moments += value.size(parameter.cut.dim == 1 ? 0 : 1);
      row_means += parameter.cut.dim == 0 ? 1 : 0;
    }
    std::vector<std::int64_t> calls = {cut};  // the norm
    if (optimizer.global_norm_clip > 0) calls.push_back(cut);
    if (optimizer.name == "adafactor") {
      calls.push_back(moments);
      calls.push_back(row_means);
      calls.push_back(optimizer.parameter_scaling ? 2 * cut : cut);
    } else {
      calls.push_back(cut);
    }
    return calls;
  }

  const ExperimentConfig& config_;
  const std::vector<Actor>& actors_;
  std::map<std::string, std::vector<std::size_t>> holders_;
  int training_stages_ = 0;
};

// The last stage tells the others its losses and the number of tokens (Pipeline::pass).
void count_losses(const Actor& actor, std::size_t micro_batches, TrafficCounters& traffic) {
  Communicator& pipe = actor.world->along(Axis::kPipe);
  if (pipe.size() == 1 || pipe.rank() + 1 != pipe.size()) return;
  TrafficCount& count = traffic.counts[static_cast<std::size_t>(Traffic::kControl)];
  ++count.calls;
  ++count.messages;
  count.bytes += 8 * (static_cast<std::int64_t>(micro_batches) + 1);
}

void go_through(const Actor& actor, const ExperimentConfig& config, int first_trained,
                const std::vector<MicroBatch>& batches) {
  ForwardContext context;
  context.training = true;
  ModelPass pass(*actor.stage, context, config.train.z_loss);
  const auto batch = [&](int micro) -> const MicroBatch& { return batches[static_cast<std::size_t>(micro)]; };
  StageCalls calls;
  calls.receive_shape = [&](int micro) { return pass.receive_shape(batch(micro)); };
  calls.forward = [&](int micro, StageIO in) { return pass.forward(std::move(in), batch(micro)); };
  calls.loss = [&](int micro, const StageIO& out) { return pass.loss(out, batch(micro)).loss; };
  Communicator& pipe = actor.world->along(Axis::kPipe);
  StageRun run(pipe, std::move(calls), first_trained < pipe.rank(), first_trained <= pipe.rank());
  run.run(schedule_actions(config.mesh.schedule,
                           {pipe.size(), static_cast<int>(batches.size()), first_trained}, pipe.rank()));
}

RehearsedStage facts_of(const Actor& actor, const ExperimentConfig& config) {
  RehearsedStage stage;
  for (const auto& [name, value] : actor.stage->base_weights())
    stage.base_bytes += static_cast<std::int64_t>(value.nbytes());
  const bool trains_base = actor.method->trains_base();
  const OptimizerConfig optimizer =
      config.optimizer.resolved(actor.method->suggested_learning_rate(), trains_base);
  for (const Parameter& parameter : actor.parameters) {
    const at::Tensor value = parameter.value();
    stage.trained += value.numel();
    // The optimizer works on the host. A base's gradients and masters are counted with its weights.
    if (config.model.device == "cpu")
      stage.trained_bytes += optimizer_bytes(optimizer, value.sizes().vec(), whole_shape(parameter),
                                             !trains_base && value.scalar_type() != at::kFloat);
    // Value and gradient, and the two copies from which it is told how far it moved.
    constexpr std::int64_t kCopies = 4;
    if (!trains_base) stage.trained_bytes += kCopies * static_cast<std::int64_t>(value.nbytes());
  }
  return stage;
}

}  // namespace

Rehearsal rehearse(const BaseModel& model, const ExperimentConfig& config, const StagePlan& plan,
                   const MethodContext& context, const std::vector<std::vector<Batch>>& steps) {
  std::vector<Actor> actors;
  Rehearsal out;
  out.first_trained = plan.stages();
  for (int stage = 0; stage < plan.stages(); ++stage) {
    actors.push_back(make_actor(model, config, units_of(plan, stage), stage, context));
    if (!actors.back().parameters.empty()) out.first_trained = std::min(out.first_trained, stage);
    out.stages.push_back(facts_of(actors.back(), config));
  }
  if (out.first_trained == plan.stages()) return out;
  const Updates updates(config, actors);
  for (std::size_t stage = 0; stage < actors.size(); ++stage) {
    const Actor& actor = actors[stage];
    RehearsedStage& facts = out.stages[stage];
    const TrafficCounters before = actor.world->traffic();
    for (const std::vector<Batch>& step : steps) {
      go_through(actor, config, out.first_trained, to_micro_batches(step, actor.stage->pad_id()));
      for (const Parameter& parameter : actor.parameters) parameter.leaf.mutable_grad() = at::Tensor();
      count_losses(actor, step.size(), facts.traffic);
      updates.count(stage, facts.traffic);
    }
    facts.traffic += actor.world->traffic();
    facts.traffic -= before;
  }
  return out;
}

}  // namespace trimtab
