// SPDX-License-Identifier: Apache-2.0
//
// Moves parameters by their gradients. Every replica makes the same step from the same gradients, so nothing
// is sent back. State and arithmetic are float32 on the host: a parameter of another type or place has a
// float32 master copy that is kept in the state and written back after each step. Sums are taken over fixed
// blocks in double, so that a step does not depend on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parallel/parameter.h"
#include "parallel/slice_sums.h"

namespace trimtab {

// The defaults are the preset of Lester et al. 2021, section 3 (Adafactor as T5X runs it).
struct OptimizerConfig {
  std::string name = "adafactor";     // one of optimizer_names()
  double learning_rate = 0.3;         // > 0
  std::string schedule = "constant";  // one of schedule_names(), see learning_rate.h
  std::int64_t warmup_steps = 0;      // >= 0
  double decay_factor = 1.0;          // in (0, 1]: the rate is multiplied by it ...
  std::int64_t steps_per_decay = 0;   // ... each time that so many steps have passed; 0: never
  std::int64_t start_step =
      0;  // >= 0: steps of pre-training that adafactor and inverse_square_root count on from
  double weight_decay = 1e-5;      // in [0, 1): adafactor: not times the learning rate; adamw, sgd: times it
  double global_norm_clip = 0.0;   // >= 0: largest norm of all gradients together; 0: off
  double decay_exponent = 0.8;     // adafactor, > 0: beta2 = 1 - (step + 1)^-exponent
  double clip_threshold = 1.0;     // adafactor, >= 0: largest RMS of the update of a parameter; 0: off
  double epsilon1 = 1e-30;         // adafactor, > 0: added to the squared gradient
  double epsilon2 = 1e-3;          // adafactor, > 0: least parameter scale
  bool parameter_scaling = false;  // adafactor: the rate is relative to the RMS of the parameter
  std::int64_t min_dim_size_to_factor = 128;  // adafactor, >= 1
  double beta1 = 0.9;                         // adamw, in [0, 1)
  double beta2 = 0.999;                       // adamw, in [0, 1)
  double epsilon = 1e-8;                      // adamw, > 0
  double momentum = 0.0;                      // sgd, in [0, 1)

  bool operator==(const OptimizerConfig&) const = default;
};

// Throws ConfigError, naming the key, for a value out of range, an unknown name, or an option that was
// changed although the optimizer that was asked for does not use it.
void check(const OptimizerConfig& config);

struct StepStats {
  struct OfParameter {
    std::string name;
    double update_rms = 0.0;  // of the update before it is clipped and before the learning rate
    double clip = 1.0;        // what the update was divided by
  };
  std::vector<OfParameter> parameters;  // in the order of the Parameters
  std::int64_t clipped = 0;             // parameters with clip > 1
  double gradient_scale = 1.0;          // what every gradient was multiplied by (global_norm_clip)
};

// All that a checkpoint needs to go on bit for bit: float32 tensors named "<parameter>/<what>".
struct OptimizerState {
  std::int64_t step = 0;  // steps made, start_step not included
  std::vector<NamedSlice> tensors;
};

class Optimizer {
 public:
  // `slices` must outlive the optimizer; null means that this rank holds whole parameters.
  explicit Optimizer(OptimizerConfig config, SliceSums* slices = nullptr);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One step at this learning rate. A parameter without a gradient is stepped with zeros. Collective over the
  // ranks that `slices` speaks to. Throws Error if a parameter changed its shape since it was first seen.
  StepStats step(const Parameters& parameters, double learning_rate);

  std::int64_t steps_made() const { return steps_made_; }
  const OptimizerConfig& config() const { return config_; }

  // Copies, in the order of `parameters`; zeros for a parameter that was never stepped.
  OptimizerState state(const Parameters& parameters);
  // Replaces all state. Throws Error that names each tensor that is missing, not known or of another shape or
  // type. Where there is a master copy, the parameter is overwritten by it.
  void load_state(const Parameters& parameters, const OptimizerState& state);

 protected:
  using Shape = std::vector<std::int64_t>;
  using Slot = std::map<std::string, at::Tensor, std::less<>>;  // float32, contiguous, on the host

  // A parameter while it is being stepped: raw float32 views of the value (or its master copy) and of its
  // gradient.
  struct Item {
    const Parameter* parameter = nullptr;
    Slot* slot = nullptr;
    at::Tensor held_value, held_gradient;  // keep the memory alive
    float* value = nullptr;
    const float* gradient = nullptr;
    std::int64_t count = 0;  // elements of this rank's slice
    std::int64_t rows = 0;   // dim 0 of a matrix, otherwise 1
    std::int64_t columns = 0;
    std::int64_t whole_count = 0;  // elements of the whole parameter
    StepStats::OfParameter* stats = nullptr;
  };
  struct Update {
    double learning_rate;
    float gradient_scale;     // multiply each gradient by it
    std::int64_t step_index;  // 0 for the first step
  };

  virtual void update(std::vector<Item>& items, const Update& update) = 0;
  // What is kept for a parameter, master copy not included: shapes of this rank's share, and how it is cut.
  struct StateShape {
    std::string name;
    Shape shape;
    Cut cut;
  };
  virtual std::vector<StateShape> state_shapes(const Parameter& parameter) const = 0;

  SliceSums& slices() { return *slices_; }

 private:
  Slot& slot_of(const Parameter& parameter);
  Cut cut_of(const Parameter& parameter, const std::string& state) const;
  Item make_item(const Parameter& parameter, StepStats::OfParameter& stats);
  double gradient_scale(const std::vector<Item>& items);

  OptimizerConfig config_;
  SliceSums whole_;
  SliceSums* slices_;
  std::int64_t steps_made_ = 0;
  std::map<std::string, Slot, std::less<>> slots_;
};

std::vector<std::string> optimizer_names();

// Checks the config. `slices` as above.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, SliceSums* slices = nullptr);

}  // namespace trimtab
