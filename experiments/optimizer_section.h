// SPDX-License-Identifier: Apache-2.0
//
// The optimizer's section of an experiment or recipe. Some keys depend on what is trained where the file says
// nothing.
#pragma once

#include <optional>

#include "parallel/optimizer.h"
#include "runtime/config.h"

namespace trimtab {

struct OptimizerSection {
  std::optional<double> learning_rate, weight_decay;
  std::optional<bool> parameter_scaling;
  OptimizerConfig rest;

  // `suggested` 0: the preset's rate. A whole model is trained as T5 trains its own (Lester et al. 2021,
  // section 3.1): Adafactor's rate is relative to the size of each weight, and nothing decays.
  OptimizerConfig resolved(double suggested = 0.0, bool whole_model = false) const {
    OptimizerConfig out = rest;
    if (suggested > 0.0) out.learning_rate = suggested;
    if (whole_model) {
      out.weight_decay = 0.0;
      out.parameter_scaling = out.name == "adafactor";
    }
    out.learning_rate = learning_rate.value_or(out.learning_rate);
    out.weight_decay = weight_decay.value_or(out.weight_decay);
    out.parameter_scaling = parameter_scaling.value_or(out.parameter_scaling);
    return out;
  }
  // With nothing left open.
  OptimizerSection completed(double suggested, bool whole_model) const {
    OptimizerSection out = *this;
    const OptimizerConfig all = resolved(suggested, whole_model);
    out.learning_rate = all.learning_rate;
    out.weight_decay = all.weight_decay;
    out.parameter_scaling = all.parameter_scaling;
    return out;
  }
};

template <class V>
void describe(V& v, OptimizerSection& s) {
  OptimizerConfig& o = s.rest;
  v.field("name", o.name, "The optimizer.", {.choices = {"adafactor", "adamw", "sgd"}});
  v.field("learning_rate", s.learning_rate, "Largest rate; absent: what suits the method (0.3 for prompts).",
          {.min = 0, .above_min = true});
  v.field("schedule", o.schedule, "How the rate changes over the steps.",
          {.choices = {"constant", "linear", "inverse_square_root"}});
  v.field("warmup_steps", o.warmup_steps, "Steps until the rate is reached.", {.min = 0, .unit = "steps"});
  v.field("decay_factor", o.decay_factor, "The rate is multiplied by it ...",
          {.min = 0, .max = 1, .above_min = true});
  v.field("steps_per_decay", o.steps_per_decay, "... each time that so many steps have passed; 0: never.",
          {.min = 0, .unit = "steps"});
  v.field("start_step", o.start_step,
          "Steps of pretraining that adafactor and inverse_square_root count on from.",
          {.min = 0, .unit = "steps"});
  v.field("weight_decay", s.weight_decay,
          "adafactor: not times the rate; adamw, sgd: times it; absent: 1e-5, and 0 for whole models.",
          {.min = 0, .max = 1});
  v.field("global_norm_clip", o.global_norm_clip, "Largest norm of all gradients together; 0: off.",
          {.min = 0});
  v.field("decay_exponent", o.decay_exponent, "adafactor: beta2 = 1 - (step + 1)^-exponent.",
          {.min = 0, .above_min = true});
  v.field("clip_threshold", o.clip_threshold, "adafactor: largest RMS of a parameter's update; 0: off.",
          {.min = 0});
  v.field("epsilon1", o.epsilon1, "adafactor: added to the squared gradient.", {.min = 0, .above_min = true});
  v.field("epsilon2", o.epsilon2, "adafactor: least scale of a parameter.", {.min = 0, .above_min = true});
  v.field("parameter_scaling", s.parameter_scaling,
          "adafactor: the rate is relative to the RMS of the parameter; absent: for whole models only.");
  v.field("min_dim_size_to_factor", o.min_dim_size_to_factor,
          "adafactor: a matrix is factored if both its dims are at least this.", {.min = 1});
  v.field("beta1", o.beta1, "adamw: decay of the first moment.", {.min = 0, .max = 1});
  v.field("beta2", o.beta2, "adamw: decay of the second moment.", {.min = 0, .max = 1});
  v.field("epsilon", o.epsilon, "adamw: added to the root of the second moment.",
          {.min = 0, .above_min = true});
  v.field("momentum", o.momentum, "sgd: share of the last update.", {.min = 0, .max = 1});
}

}  // namespace trimtab
