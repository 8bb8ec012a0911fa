// SPDX-License-Identifier: Apache-2.0
//
// What `trimtab inspect` shows of prompts: gathers the numbers of prompt_analysis.h for the prompts of some
// files, beside a model's vocabulary if one is named, and writes them as text or JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/prompt_analysis.h"

namespace trimtab {

struct InspectRequest {
  std::vector<std::string> files;   // checkpoints, .npy, PEFT adapters
  std::string weights, vocabulary;  // a model whose pieces are the neighbours; none: no neighbours
  std::vector<std::string> labels;  // none: those of the task that a checkpoint was trained for
  std::string initial;              // a file with what the prompts began as
  std::size_t neighbours = 5;       // of each row
};

struct PromptInspection {
  std::string file;
  PromptMatrix prompt;  // its name begins with the file
  PromptNorms norms;
  std::vector<std::vector<Neighbour>> nearest{};  // of each row; empty without a model
  std::map<std::int64_t, std::string> pieces{};   // spelling of the neighbours
  std::vector<SharedNeighbour> shared{};
  std::vector<LabelHit> labels{};
  std::optional<PromptMovement> movement{};  // where the initial prompt is at hand
  std::optional<double> moved{};             // distance from the start, as the run's folder has it
  std::vector<std::string> notes{};          // what could not be shown, and why
};

struct Inspections {
  std::vector<PromptInspection> prompts;
  std::vector<std::string> names;                     // of the prompts, as short as tells them apart
  std::vector<std::vector<PromptLikeness>> likeness;  // of each with each; empty for one prompt
  std::size_t neighbours = 0;
};

// Throws ConfigError when files do not go together (widths, vocabulary, initial prompt), and what reading
// them throws.
Inspections inspect_prompts(const InspectRequest& request);

// Of at most `rows` rows the neighbours.
std::string inspection_text(const Inspections& inspections, std::size_t rows);
std::string inspection_json(const Inspections& inspections);

// What else a checkpoint may hold: the results of methods that train no prompt.
struct TrainedTensor {
  std::string name;
  Shape shape;
  double norm = 0;
};
// Nothing if the checkpoint holds a prompt.
std::vector<TrainedTensor> trained_without_prompt(const std::string& checkpoint);
std::string trained_text(const std::vector<TrainedTensor>& tensors);
std::string trained_json(const std::vector<TrainedTensor>& tensors);

// File names without the folders and names that all of them begin or end with.
std::vector<std::string> short_names(const std::vector<std::string>& paths);

}  // namespace trimtab
