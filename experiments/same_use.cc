// SPDX-License-Identifier: Apache-2.0
#include "experiments/same_use.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "data/input_template.h"
#include "models/input_rows.h"
#include "models/methods/linear_targets.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

ConfigNode experiment_in(const Checkpoint& checkpoint) {
  return parse_yaml(checkpoint.info().config, checkpoint.store().path() + ": its experiment");
}

const ConfigNode* option(const ConfigNode& root, const char* section, const char* key) {
  const ConfigNode* node = root.find(section);
  return node == nullptr ? nullptr : node->find(key);
}

// An adapter that came from elsewhere has no section of texts, and its rows in front of everything.
TextConfig text_in(const ConfigNode& root) {
  TextConfig text;
  if (const ConfigNode* node = option(root, "text", "template")) text.input_template = node->text;
  if (const ConfigNode* node = option(root, "text", "prompt_place")) text.prompt_place = node->text;
  return text;
}

// Where `rows` positions go, whatever the texts between them are.
std::string places_of(const TextConfig& text, std::int64_t rows) {
  const bool shows = find_slot(text.input_template, "{shots}") != std::string::npos;
  const InputTemplate around(text.input_template, shows ? " " : "");
  const std::vector<InputTemplate::Place>& places = around.places();
  if (places.empty()) return fmt::format("{} {}", rows, text.prompt_place);
  std::vector<PromptPlace> counted;
  for (const auto& place : places) counted.push_back({place.positions.value_or(-1), place.behind_input, 0});
  const std::vector<std::int64_t> counts =
      places.size() == 1 ? std::vector{rows} : rows_of_places(counted, rows);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < places.size(); ++i)
    out.push_back(fmt::format("{} {}", counts[i],
                              places[i].behind_input   ? "behind the input"
                              : places[i].segment == 0 ? text.prompt_place
                                                       : "in front of the input"));
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string written(const TextConfig& text) {
  return fmt::format("text.template: '{}' and text.prompt_place: {}", text.input_template, text.prompt_place);
}

bool is_prompt(const Checkpoint& checkpoint) {
  return checkpoint.info().method == "prompt_tuning" || checkpoint.info().method == "p_tuning";
}

std::vector<std::string> list_of(const ConfigNode& root, const char* key) {
  std::vector<std::string> out;
  if (const ConfigNode* node = option(root, "method", key))
    for (const ConfigNode& item : node->items) out.push_back(item.text);
  // As the method chooses where nothing is named.
  const ConfigNode* targets = option(root, "method", "targets");
  if (out.empty() && (targets == nullptr || targets->items.empty())) out = {"wo", "down_proj"};
  return out;
}

void check_alpha(const ConfigNode& trained, const ConfigNode& now, const std::string& path) {
  const ConfigNode *was = option(trained, "method", "alpha"), *is = option(now, "method", "alpha");
  double a = 0, b = 0;
  std::string unused;
  if (was == nullptr || is == nullptr || !parse_scalar(*was, a, unused) || !parse_scalar(*is, b, unused))
    return;
  if (a != b)
    fail_config("{}: was trained with method.alpha: {}, but the experiment has {}; set method.alpha to {}",
                path, was->text, is->text, was->text);
}

constexpr std::string_view kEnd = ".ia3";

// Targets that something trained is called by: the usual ones are those of more than one family.
std::vector<std::string> those_of(const Checkpoint& checkpoint, std::vector<std::string> targets) {
  const std::vector<std::string> names = checkpoint.values();
  std::erase_if(targets, [&](const std::string& target) {
    return std::ranges::none_of(names, [&](const std::string& name) {
      return name.ends_with(kEnd) && is_target(name.substr(0, name.size() - kEnd.size()), {target});
    });
  });
  return targets;
}

// A square map has factors of one length on either side.
void check_sides(const Checkpoint& checkpoint, const ConfigNode& trained, const ConfigNode& now) {
  const auto was = list_of(trained, "feed_forward"), is = list_of(now, "feed_forward");
  for (const std::string& name : checkpoint.values()) {
    if (!name.ends_with(kEnd)) continue;
    const std::string module = name.substr(0, name.size() - kEnd.size());
    if (is_target(module, was) != is_target(module, is))
      fail_config(
          "{}: the {} of {} were trained, but the experiment scales its {}; set method.targets and "
          "method.feed_forward as they were trained: feed_forward: [{}]",
          checkpoint.store().path(), is_target(module, was) ? "inputs" : "outputs", module,
          is_target(module, was) ? "outputs" : "inputs", fmt::join(those_of(checkpoint, was), ", "));
  }
}

}  // namespace

void check_places(const Checkpoint& checkpoint, const TextConfig& text) {
  const TextConfig trained = text_in(experiment_in(checkpoint));
  const std::int64_t rows = checkpoint.result("prompt").size(0);
  if (places_of(trained, rows) != places_of(text, rows))
    fail_config(
        "{}: its prompt was trained at the places of {}, but the experiment has {}; use the places that it "
        "was "
        "trained at",
        checkpoint.store().path(), written(trained), written(text));
}

void check_same_use(const Checkpoint& checkpoint, const ExperimentConfig& config) {
  if (is_prompt(checkpoint)) return check_places(checkpoint, config.text);
  const ConfigNode trained = experiment_in(checkpoint);
  const ConfigNode now = parse_yaml(dump_config(config), "the experiment");
  if (checkpoint.info().method == "lora") check_alpha(trained, now, checkpoint.store().path());
  if (checkpoint.info().method == "ia3") check_sides(checkpoint, trained, now);
}

void check_in_front(const Checkpoint& checkpoint, const std::string& reader) {
  if (!is_prompt(checkpoint)) return;
  const TextConfig trained = text_in(experiment_in(checkpoint));
  const std::int64_t rows = checkpoint.result("prompt").size(0);
  if (places_of(trained, rows) != places_of({}, rows))
    fail_config(
        "{}: its prompt was trained at the places of {}, but {} in front of the whole input: nothing else "
        "can "
        "use it as it was trained",
        checkpoint.store().path(), written(trained), reader);
}

}  // namespace trimtab
