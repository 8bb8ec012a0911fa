// SPDX-License-Identifier: Apache-2.0
//
// Prompts of several runs that are used at once over one frozen model. Every rank reads all of them: they are
// small. The checks come before a weight is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/checkpoint.h"
#include "experiments/experiment_config.h"
#include "models/methods/prompt_lanes.h"

namespace trimtab {

struct PromptFile {
  std::string name;  // what rows call it
  std::string path;  // a checkpoint
};

// From "NAME=PATH" or "PATH", which is then the name as well; what stands before the first '=' is a name
// unless it holds a '/'. A run folder stands for the best checkpoint in it. Throws ConfigError for an empty
// part and for two prompts of one name.
std::vector<PromptFile> prompt_files(const std::vector<std::string>& texts);

// The lane of the prompt that is called as a task, or as the last part of its name ("rte" for superglue/rte).
// Throws ConfigError that lists the names when there is none.
std::int32_t lane_of_task(const std::vector<PromptFile>& prompts, const std::string& task);

class ServedPrompts {
 public:
  // Throws what Checkpoint does, and ConfigError for a run whose result is no prompt in front of the input.
  explicit ServedPrompts(std::vector<PromptFile> files);

  const std::vector<PromptFile>& files() const { return files_; }
  // The same on ranks that read the same prompts under the same names.
  std::string identity() const;

  // Throw ConfigError that names the file which was trained at other places, or is of another vocabulary or
  // base.
  void check_places(const TextConfig& text) const;
  void check_vocabulary(const std::string& hash, const std::string& path) const;
  void check_base(const std::string& hash, const std::string& weights) const;

  // In the order of the files.
  std::unique_ptr<TuningMethod> method() const;

 private:
  std::vector<PromptFile> files_;
  std::vector<std::unique_ptr<Checkpoint>> checkpoints_;
  std::vector<LanePrompt> prompts_;
};

// Throws ConfigError unless prompts in front of the input are what the method of this name comes to.
void check_makes_prompts(const std::string& method, const std::string& where);

}  // namespace trimtab
