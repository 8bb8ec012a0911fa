// SPDX-License-Identifier: Apache-2.0
//
// How many numbers each method trains, from the sizes of a model alone: figure 4 and table 4 of Lester et al.
// 2021 for any model. One line a method in parameter_counts.cc, with the source of its formula and, where it
// is a method of ours, the options of the run that trains so many; the tests hold both to each other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/plot.h"
#include "experiments/text_table.h"
#include "models/formats/weight_files.h"
#include "runtime/registry.h"

namespace trimtab {

// What the counts depend on.
struct ModelSizes {
  struct Map {
    std::string module;  // "encoder.block.0.layer.0.SelfAttention.q"
    std::int64_t out = 0, in = 0;
  };
  std::string name;
  std::int64_t parameters = 0;  // of the whole model
  std::int64_t width = 0;
  std::int64_t layers = 0;               // blocks, of both stacks
  std::vector<Map> maps;                 // linear maps but for the head
  std::vector<std::int64_t> attentions;  // width of the keys of each, which is that of its values
};

// From names and shapes of all weights; `embedding` names the table among them.
ModelSizes sizes_of(const std::string& name, const WeightShapes& weights, const std::string& embedding);
// Of a T5 1.1 by its size ("small", "base", "large", "xl", "xxl": the paper's models), or of a model on disk,
// whose weights are not read. Throws ConfigError, and what opening the model throws.
ModelSizes sizes_of_model(const std::string& name_or_path);

// What a count grows with.
enum class CountAxis { kNone, kLength, kRank, kIds };

struct CountedMethod {
  std::string title;
  std::string source;
  CountAxis axis = CountAxis::kNone;
  bool drawn = false;   // in a picture for which no methods were named
  std::string method;   // as it is registered; "" for what is counted for comparison only
  std::string options;  // of the run, in YAML, with {} for the value of the axis
  // Of the value of the axis, which is 0 where there is none.
  std::function<std::int64_t(const ModelSizes& model, std::int64_t value)> trained;

  // Numbers of the model with what is trained beside it.
  std::int64_t total(const ModelSizes& model, std::int64_t value) const;
  // Trained ones for 100 of them, as in table 4.
  double share_percent(const ModelSizes& model, std::int64_t value) const;
};

// One line a method.
const Registry<CountedMethod>& counted_methods();

struct CountRequest {
  std::vector<ModelSizes> models;
  std::vector<std::string> methods;  // none: all
  std::vector<std::int64_t> lengths = {1, 5, 20, 50, 100, 150}, ranks = {8}, ids = {500, 2000};
};

// A line for each model, method and value. Throws ConfigError for an unknown method.
std::string count_table(const CountRequest& request, TableFormat format);

// Share over size on logarithmic axes. Lines and bands are mean and sample standard deviation over the values
// of the axis: over all lengths from 1 to 100 and 500 to 2000 ids as in figure 4, and over the request's
// ranks. What trains nothing has no place on it.
Plot count_plot(const CountRequest& request);

}  // namespace trimtab
