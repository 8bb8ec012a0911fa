// SPDX-License-Identifier: Apache-2.0
#include "experiments/served_prompts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "experiments/adapter_exchange.h"
#include "experiments/run_record.h"
#include "experiments/same_use.h"
#include "models/formats/peft_adapter.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

PromptFile prompt_file(const std::string& text) {
  PromptFile file{text, text};
  const std::size_t sign = text.find('=');
  if (sign != std::string::npos && text.substr(0, sign).find('/') == std::string::npos)
    file = {text.substr(0, sign), text.substr(sign + 1)};
  if (file.name.empty() || file.path.empty())
    fail_config("--prompt '{}': expected NAME=PATH, a name and the checkpoint of its run", text);
  if (is_adapter(file.path))
    fail_config(
        "--prompt '{}': {} is an adapter or a bare prompt; turn it into a checkpoint with trimtab "
        "import first",
        text, file.path);
  if (std::filesystem::is_directory(file.path)) file.path = RunFolder(file.path).best();
  return file;
}

}  // namespace

std::vector<PromptFile> prompt_files(const std::vector<std::string>& texts) {
  std::vector<PromptFile> files;
  std::set<std::string> names;
  for (const std::string& text : texts) {
    files.push_back(prompt_file(text));
    if (!names.insert(files.back().name).second)
      fail_config("--prompt '{}': there is a prompt of the name '{}' already", text, files.back().name);
  }
  return files;
}

std::int32_t lane_of_task(const std::vector<PromptFile>& prompts, const std::string& task) {
  const std::string last = task.substr(task.rfind('/') + 1);
  std::vector<std::string> names;
  for (const PromptFile& prompt : prompts) {
    if (prompt.name == task || prompt.name == last) return static_cast<std::int32_t>(names.size());
    names.push_back(prompt.name);
  }
  fail_config(
      "--by-task: there are rows of the task {}, but no prompt '{}': add --prompt {}=PATH; known prompts: {}",
      task, last, last, fmt::join(names, ", "));
}

void check_makes_prompts(const std::string& method, const std::string& where) {
  if (method != "prompt_tuning" && method != "p_tuning")
    fail_config(
        "{} is {}, but only prompts in front of the input can be used several at once: those of "
        "prompt_tuning and p_tuning",
        where, method);
}

ServedPrompts::ServedPrompts(std::vector<PromptFile> files) : files_(std::move(files)) {
  for (const PromptFile& file : files_) {
    checkpoints_.push_back(std::make_unique<Checkpoint>(file.path));
    const Checkpoint& checkpoint = *checkpoints_.back();
    check_makes_prompts(checkpoint.info().method, fmt::format("{}: the method of the run", file.path));
    if (read_decoder_prompt_rows(file.path))
      fail_config(
          "{}: has rows in front of the decoder's input as well, which are used with --checkpoint only: "
          "several prompts at once are in front of the input",
          file.path);
    prompts_.push_back({file.path, checkpoint.result("prompt")});
    if (prompts_.back().rows_pd.dim() != 2)
      fail("{}: the prompt has {} dims, not two: positions and width", file.path,
           prompts_.back().rows_pd.dim());
  }
}

std::string ServedPrompts::identity() const {
  Sha256 sha;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const at::Tensor rows = prompts_[i].rows_pd.contiguous();
    sha.update(fmt::format("{}:{}:{}x{}", files_[i].name.size(), files_[i].name, rows.size(0), rows.size(1)));
    sha.update(rows.const_data_ptr(), rows.nbytes());
  }
  return sha.hex();
}

void ServedPrompts::check_places(const TextConfig& text) const {
  for (const auto& checkpoint : checkpoints_) trimtab::check_places(*checkpoint, text);
}

void ServedPrompts::check_vocabulary(const std::string& hash, const std::string& path) const {
  for (const auto& checkpoint : checkpoints_) checkpoint->check_vocabulary(hash, path);
}

void ServedPrompts::check_base(const std::string& hash, const std::string& weights) const {
  for (const auto& checkpoint : checkpoints_) checkpoint->check_base(hash, weights);
}

std::unique_ptr<TuningMethod> ServedPrompts::method() const { return make_prompt_lanes(prompts_); }

}  // namespace trimtab
