// SPDX-License-Identifier: Apache-2.0
#include "experiments/request_check.h"

#include <memory>
#include <string>
#include <vector>

#include "data/input_template.h"
#include "experiments/experiment.h"
#include "models/input_rows.h"
#include "models/methods/tuning_method.h"
#include "models/shapes_only.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

void check_positions(const InputTemplate& around, const TuningMethod& method) {
  std::vector<PromptPlace> places;
  for (const InputTemplate::Place& place : around.places())
    places.push_back({place.positions.value_or(-1), place.behind_input, 0});
  if (!places.empty() && method.extra_positions() > 0) rows_of_places(places, method.extra_positions());
}

}  // namespace

void check_request(const ExperimentConfig& config) {
  resolved(config);  // refuses options of method, optimizer and tasks
  Subtree options = config.method;
  const auto method = make_method(options);
  // What is shown is known when the data are.
  const InputTemplate around(nested_template(method->input_template(), config.text.input_template),
                             config.text.shots > 0 ? " " : "");
  check_positions(around, *method);
  const auto model = open_model(config.model.weights, config.model.family);
  forget_weights(*model);
  check_method(config.method, *model);
}

void check_method(Subtree options, const BaseModel& model) {
  const auto method = make_method(options);
  World world = solo_world();
  const UnitRange all{0, static_cast<int>(model.cost_units({}).size())};
  const auto stage = model.make_stage(world, {all, DType::kFloat32, -1, at::kMeta});
  // Words and pieces that do for any task: only shapes are looked at.
  MethodContext context;
  context.labels = {"label"};
  context.encode = [](const std::string&) { return std::vector<std::int32_t>{0}; };
  context.pieces = 1;
  if (method->decoder_positions() > 0 && model.text_form() == TextForm::kDecoderOnly) return;
  method->attach(*stage, context);
}

}  // namespace trimtab
