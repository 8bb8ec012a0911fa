// SPDX-License-Identifier: Apache-2.0
//
// Pictures of a planned mesh: what fills the memory of each stage's ranks, and when each stage computes what.
#pragma once

#include <string>

#include "experiments/step_plan.h"

namespace trimtab {

// gnuplot script and data of a picture, for draw_script().
struct Picture {
  std::string script, data;
};

// A bar a stage, of the parts that are there while it is fullest, against the device's memory.
Picture memory_picture(const MeshPlan& mesh, const Device& device, const std::string& path_without_ending);
// A line a stage: forward and backward passes of the first step over time, with their micro-batches.
Picture timeline_picture(const MeshPlan& mesh, const std::string& path_without_ending);

// memory.png and timeline.png with what they are made of (plot.h) in `folder`. Returns what to say of them.
std::string draw_plan(const MeshPlan& mesh, const Device& device, const std::string& folder);

}  // namespace trimtab
