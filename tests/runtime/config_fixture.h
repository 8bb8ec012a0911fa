// SPDX-License-Identifier: Apache-2.0
//
// A config with every type of field, for the tests of the reader and of the printers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/check.h"
#include "runtime/config.h"

namespace trimtab {

struct FixtureMesh {
  std::int64_t data = 1;
  std::int64_t tensor = 1;
  bool operator==(const FixtureMesh&) const = default;
};

template <class V>
void describe(V& v, FixtureMesh& s) {
  v.field("data", s.data, "Replicas.", {.min = 1, .unit = "ranks"});
  v.field("tensor", s.tensor, "Cuts of each layer.", {.min = 1, .max = 64, .unit = "ranks"});
}

struct FixtureTrain {
  std::int64_t steps = 30000;
  std::int64_t batch = 32;
  std::int64_t seed = 1;
  double dropout = 0.1;
  bool shuffle = true;
  std::string precision = "float32";
  std::vector<std::int64_t> lengths{1, 20};
  std::vector<double> betas{0.9, 0.999};
  std::vector<std::string> metrics;
  std::optional<double> clip;
  std::optional<std::string> note;
};

template <class V>
void describe(V& v, FixtureTrain& s) {
  v.field("steps", s.steps, "Optimizer steps.", {.min = 0});
  v.field("batch", s.batch, "Rows in a step.", {.min = 1, .unit = "rows"});
  v.field("seed", s.seed, "Seed of all draws.");
  v.field("dropout", s.dropout, "Share of activations | weights dropped.", {.min = 0, .max = 1});
  v.field("shuffle", s.shuffle, "Whether rows are shuffled.");
  v.field("precision", s.precision, "Compute type.", {.choices = {"float32", "bfloat16"}});
  v.field("lengths", s.lengths, "Prompt lengths.", {.min = 1, .min_size = 1});
  v.field("betas", s.betas, "Decay rates.", {.min = 0, .max = 1});
  v.field("metrics", s.metrics, "Scores.", {.choices = {"accuracy", "f1"}});
  v.field("clip", s.clip, "Largest gradient norm.", {.min = 0, .above_min = true});
  v.field("note", s.note, "Anything.");
}

struct FixtureStage {
  std::int64_t layers = 1;
  std::string device = "cpu";
  bool operator==(const FixtureStage&) const = default;
};

template <class V>
void describe(V& v, FixtureStage& s) {
  v.field("layers", s.layers, "Layers of the stage.", {.min = 1, .required = true});
  v.field("device", s.device, "Where it runs.");
}

struct FixtureModel {
  std::string weights;
  FixtureMesh mesh;
};

template <class V>
void describe(V& v, FixtureModel& s) {
  v.field("weights", s.weights, "File of weights.", {.required = true, .min_size = 1});
  v.field("mesh", s.mesh, "Cuts.");
}

struct FixtureConfig {
  std::string name;
  FixtureModel model;
  FixtureTrain train;
  std::vector<FixtureStage> stages;
  std::optional<FixtureStage> spare;
  Subtree method;
  Subtree optimizer{"adafactor"};
  Subtree teacher;
};

template <class V>
void describe(V& v, FixtureConfig& s) {
  v.field("name", s.name, "Name of the run.", {.required = true});
  v.field("model", s.model, "The frozen model.");
  v.field("train", s.train, "The loop.");
  v.field("stages", s.stages, "Stages by hand.");
  v.field("spare", s.spare, "One more stage.");
  v.field("method", s.method, "What is tuned.", {.choices = {"prompt_tuning", "lora"}, .required = true});
  v.field("optimizer", s.optimizer, "How it is tuned.");
  v.field("teacher", s.teacher, "Another model.");
}

struct FixtureLora {
  std::int64_t rank = 8;
  double alpha = 16;
  std::vector<std::string> targets{"q", "v"};
};

template <class V>
void describe(V& v, FixtureLora& s) {
  v.field("rank", s.rank, "Rank of the update.", {.min = 1});
  v.field("alpha", s.alpha, "Scale.");
  v.field("targets", s.targets, "Maps.");
}

struct FixtureAdafactor {
  std::string name = "adafactor";  // options may list their own name
  double learning_rate = 0.3;
};

template <class V>
void describe(V& v, FixtureAdafactor& s) {
  v.field("name", s.name, "Optimizer.");
  v.field("learning_rate", s.learning_rate, "Step size.", {.min = 0});
}

// The least that can be said.
inline const std::string kFixtureText = R"(name: small
model:
  weights: a.h5
method: {name: lora}
)";

inline std::string config_error(const std::function<void()>& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace trimtab
