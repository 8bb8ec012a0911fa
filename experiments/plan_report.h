// SPDX-License-Identifier: Apache-2.0
//
// A StepPlan as people and programs read it, and as pictures.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "experiments/step_plan.h"

namespace trimtab {

// The meshes in their order, and stage by stage the one that is asked about: the experiment's own if it has
// more than one rank and is not refused, else the best.
std::string plan_text(const StepPlan& plan, const PlanRequest& request);
nlohmann::ordered_json plan_json(const StepPlan& plan, const PlanRequest& request);

// The mesh that text and pictures show in detail; null if all are refused.
const MeshPlan* shown_mesh(const StepPlan& plan);

// What fills a device, and what would help, where no mesh fits; "" where one does.
std::string why_nothing_fits(const StepPlan& plan);

}  // namespace trimtab
