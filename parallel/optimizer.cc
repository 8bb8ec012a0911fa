// SPDX-License-Identifier: Apache-2.0
#include "parallel/optimizer.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <cmath>
#include <set>

#include "parallel/adafactor.h"
#include "parallel/adamw.h"
#include "parallel/blocks.h"
#include "parallel/learning_rate.h"
#include "parallel/sgd.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr const char* kMaster = "master";

bool is_host_float(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

at::Tensor host_float(const at::Tensor& tensor) {
  return tensor.to(at::TensorOptions().device(at::kCPU).dtype(at::kFloat)).contiguous();
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

void check_range(const char* key, double value, bool good, const char* range) {
  if (!good) fail_config("optimizer.{}: {} is not {}", key, value, range);
}

// An option that does nothing for the optimizer that was asked for is a mistake, not a detail.
void check_unused(const OptimizerConfig& config) {
  const OptimizerConfig preset;
  const auto only = [&](const char* key, bool changed, const char* user) {
    if (changed && config.name != user)
      fail_config("optimizer.{}: only {} uses it, but optimizer.name is {}: remove the key", key, user,
                  config.name);
  };
  only("decay_exponent", config.decay_exponent != preset.decay_exponent, "adafactor");
  only("clip_threshold", config.clip_threshold != preset.clip_threshold, "adafactor");
  only("epsilon1", config.epsilon1 != preset.epsilon1, "adafactor");
  only("epsilon2", config.epsilon2 != preset.epsilon2, "adafactor");
  only("parameter_scaling", config.parameter_scaling != preset.parameter_scaling, "adafactor");
  only("min_dim_size_to_factor", config.min_dim_size_to_factor != preset.min_dim_size_to_factor, "adafactor");
  only("beta1", config.beta1 != preset.beta1, "adamw");
  only("beta2", config.beta2 != preset.beta2, "adamw");
  only("epsilon", config.epsilon != preset.epsilon, "adamw");
  only("momentum", config.momentum != preset.momentum, "sgd");
}

struct Entry {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(const OptimizerConfig&, SliceSums*);
};

template <typename Kind>
std::unique_ptr<Optimizer> make(const OptimizerConfig& config, SliceSums* slices) {
  return std::make_unique<Kind>(config, slices);
}

constexpr Entry kOptimizers[] = {{"adafactor", make<Adafactor>}, {"adamw", make<AdamW>}, {"sgd", make<Sgd>}};

}  // namespace

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kOptimizers) names.emplace_back(entry.name);
  return names;
}

void check(const OptimizerConfig& c) {
  const std::vector<std::string> names = optimizer_names();
  if (std::find(names.begin(), names.end(), c.name) == names.end())
    fail_config("optimizer.name: '{}' is not known: use one of {}", c.name, joined(names));
  const std::vector<std::string> schedules = schedule_names();
  if (std::find(schedules.begin(), schedules.end(), c.schedule) == schedules.end())
    fail_config("optimizer.schedule: '{}' is not known: use one of {}", c.schedule, joined(schedules));
  const auto in_unit = [](double value) { return value >= 0.0 && value < 1.0; };
  const auto positive = [](double value) { return value > 0.0 && std::isfinite(value); };
  const auto not_negative = [](double value) { return value >= 0.0 && std::isfinite(value); };
  check_range("learning_rate", c.learning_rate, positive(c.learning_rate), "a number > 0");
  check_range("warmup_steps", static_cast<double>(c.warmup_steps), c.warmup_steps >= 0, ">= 0");
  check_range("decay_factor", c.decay_factor, c.decay_factor > 0.0 && c.decay_factor <= 1.0, "in (0, 1]");
  check_range("steps_per_decay", static_cast<double>(c.steps_per_decay), c.steps_per_decay >= 0, ">= 0");
  check_range("start_step", static_cast<double>(c.start_step), c.start_step >= 0, ">= 0");
  check_range("weight_decay", c.weight_decay, in_unit(c.weight_decay), "in [0, 1)");
  check_range("global_norm_clip", c.global_norm_clip, not_negative(c.global_norm_clip), "a number >= 0");
  check_range("decay_exponent", c.decay_exponent, positive(c.decay_exponent), "a number > 0");
  check_range("clip_threshold", c.clip_threshold, not_negative(c.clip_threshold), "a number >= 0");
  check_range("epsilon1", c.epsilon1, positive(c.epsilon1), "a number > 0");
  check_range("epsilon2", c.epsilon2, positive(c.epsilon2), "a number > 0");
  check_range("min_dim_size_to_factor", static_cast<double>(c.min_dim_size_to_factor),
              c.min_dim_size_to_factor >= 1, ">= 1");
  check_range("beta1", c.beta1, in_unit(c.beta1), "in [0, 1)");
  check_range("beta2", c.beta2, in_unit(c.beta2), "in [0, 1)");
  check_range("epsilon", c.epsilon, positive(c.epsilon), "a number > 0");
  check_range("momentum", c.momentum, in_unit(c.momentum), "in [0, 1)");
  check_unused(c);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, SliceSums* slices) {
  check(config);
  for (const Entry& entry : kOptimizers)
    if (config.name == entry.name) return entry.make(config, slices);
  fail_config("optimizer.name: '{}' is not known", config.name);
}

Optimizer::Optimizer(OptimizerConfig config, SliceSums* slices)
    : config_(std::move(config)), slices_(slices == nullptr ? &whole_ : slices) {}

Optimizer::Slot& Optimizer::slot_of(const Parameter& parameter) {
  const at::Tensor value = parameter.value();
  auto found = slots_.find(parameter.name);
  if (found == slots_.end()) {
    Slot slot;
    for (const StateShape& kept : state_shapes(parameter))
      slot[kept.name] = at::zeros(kept.shape, at::kFloat);
    if (!is_host_float(value)) slot[kMaster] = host_float(value).clone();
    found = slots_.emplace(parameter.name, std::move(slot)).first;
  }
  for (const StateShape& kept : state_shapes(parameter)) {
    const auto held = found->second.find(kept.name);
    if (held == found->second.end() || held->second.sizes().vec() != kept.shape)
      fail("optimizer: parameter {} of shape [{}] does not fit the state that is kept for that name",
           parameter.name, fmt::join(value.sizes(), ", "));
  }
  return found->second;
}

Cut Optimizer::cut_of(const Parameter& parameter, const std::string& state) const {
  for (const StateShape& kept : state_shapes(parameter))
    if (kept.name == state) return kept.cut;
  return parameter.cut;  // the master copy
}

Optimizer::Item Optimizer::make_item(const Parameter& parameter, StepStats::OfParameter& stats) {
  const at::Tensor value = parameter.value();
  Item item;
  item.parameter = &parameter;
  item.slot = &slot_of(parameter);
  const auto master = item.slot->find(kMaster);
  item.held_value = master == item.slot->end() ? value : master->second;
  const at::Tensor gradient = parameter.grad();
  item.held_gradient = gradient.defined() ? host_float(gradient) : at::zeros(value.sizes(), at::kFloat);
  TT_CHECK(item.held_value.sizes() == value.sizes() && item.held_gradient.sizes() == value.sizes(),
           "{}: value, master copy and gradient differ in shape", parameter.name);
  TT_CHECK(is_host_float(item.held_value), "{}: the value moved to another type or place", parameter.name);
  item.value = item.held_value.data_ptr<float>();
  item.gradient = item.held_gradient.const_data_ptr<float>();
  item.count = value.numel();
  item.rows = value.dim() == 2 ? value.size(0) : 1;
  item.columns = value.dim() == 2 ? value.size(1) : item.count;
  item.whole_count = element_count(whole_shape(parameter));
  item.stats = &stats;
  stats.name = parameter.name;
  return item;
}

// The factor that brings the norm of all gradients together down to global_norm_clip (Pascanu et al. 2013).
double Optimizer::gradient_scale(const std::vector<Item>& items) {
  if (config_.global_norm_clip == 0.0) return 1.0;
  std::vector<PartialSum> sums;
  for (const Item& item : items) {
    const float* g = item.gradient;
    const double squares =
        detail::sum_blocks(item.count, detail::kBlockElements, [g](std::int64_t begin, std::int64_t end) {
          return detail::sum_elements(begin, end, [g](std::int64_t i) { return g[i] * g[i]; });
        });
    sums.push_back({item.parameter, SumOver::kAll, {squares}});
  }
  slices_->combine(sums);
  double total = 0.0;
  for (const PartialSum& sum : sums)
    if (slices_->counts_here(*sum.parameter)) total += sum.values[0];
  const double norm = std::sqrt(slices_->across_stages(total));
  return norm > config_.global_norm_clip ? config_.global_norm_clip / norm : 1.0;
}

StepStats Optimizer::step(const Parameters& parameters, double learning_rate) {
  TT_CHECK(std::isfinite(learning_rate) && learning_rate >= 0.0, "learning rate {}", learning_rate);
  StepStats stats;
  stats.parameters.resize(parameters.size());
  std::vector<Item> items;
  items.reserve(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i)
    items.push_back(make_item(parameters[i], stats.parameters[i]));
  stats.gradient_scale = gradient_scale(items);
  update(items, {learning_rate, static_cast<float>(stats.gradient_scale), steps_made_});
  for (const Item& item : items)
    if (item.slot->contains(kMaster)) item.parameter->value().copy_(item.held_value);
  for (const StepStats::OfParameter& one : stats.parameters) stats.clipped += one.clip > 1.0 ? 1 : 0;
  ++steps_made_;
  return stats;
}

OptimizerState Optimizer::state(const Parameters& parameters) {
  OptimizerState state;
  state.step = steps_made_;
  for (const Parameter& parameter : parameters)
    for (const auto& [name, tensor] : slot_of(parameter))
      state.tensors.push_back({parameter.name + "/" + name, tensor.clone(), cut_of(parameter, name)});
  return state;
}

void Optimizer::load_state(const Parameters& parameters, const OptimizerState& state) {
  std::map<std::string, at::Tensor, std::less<>> given;
  for (const NamedSlice& slice : state.tensors) given.emplace(slice.name, slice.value);
  std::vector<std::string> problems;
  if (state.step < 0) problems.push_back(fmt::format("step {} is negative", state.step));
  std::map<std::string, Slot, std::less<>> loaded;
  for (const Parameter& parameter : parameters) {
    Slot slot = slot_of(parameter);
    for (auto& [name, tensor] : slot) {
      const std::string full = parameter.name + "/" + name;
      const auto found = given.find(full);
      if (found == given.end()) {
        problems.push_back(full + " is missing");
        continue;
      }
      if (found->second.scalar_type() != at::kFloat || found->second.sizes() != tensor.sizes())
        problems.push_back(
            fmt::format("{} is {} [{}], not float32 [{}]", full, c10::toString(found->second.scalar_type()),
                        fmt::join(found->second.sizes(), ", "), fmt::join(tensor.sizes(), ", ")));
      else
        tensor = host_float(found->second).clone();
      given.erase(found);
    }
    loaded.emplace(parameter.name, std::move(slot));
  }
  for (const auto& [name, tensor] : given) problems.push_back(name + " is not known");
  if (!problems.empty())
    fail("optimizer state of {} does not fit: {}", config_.name, fmt::join(problems, "; "));
  slots_ = std::move(loaded);
  steps_made_ = state.step;
  for (const Parameter& parameter : parameters) {
    const Slot& slot = slots_.find(parameter.name)->second;
    if (const auto master = slot.find(kMaster); master != slot.end()) parameter.value().copy_(master->second);
  }
}

}  // namespace trimtab
