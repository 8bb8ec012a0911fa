// SPDX-License-Identifier: Apache-2.0
#include "experiments/plan_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "experiments/memory_parts.h"
#include "experiments/text_table.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string bytes_text(double bytes) {
  return readable_bytes(static_cast<std::uint64_t>(std::llround(std::max(0.0, bytes))));
}

// "0.8 ms", "3.25 s", "12 min", "3.4 h"
std::string seconds_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kMilli = 1e-3;
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds / kMilli);
  if (seconds < 2 * kMinute) return fmt::format("{:.3g} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.3g} min", seconds / kMinute);
  return fmt::format("{:.3g} h", seconds / kHour);
}

double a_step(const PlannedStage& stage, Traffic purpose) {
  return static_cast<double>(stage.traffic[purpose].bytes) / kPlannedSteps;
}

constexpr std::array<Traffic, kTrafficKinds> kPurposes = {Traffic::kTensor, Traffic::kPipeline,
                                                          Traffic::kGradient, Traffic::kControl};

std::string mesh_table(const StepPlan& plan) {
  std::vector<Cells> lines = {
      {"mesh", "a step", "to the end", "idle", "fullest rank", "its share", "most sent a step"}};
  for (const MeshPlan& mesh : plan.meshes) {
    if (!mesh.refused.empty()) continue;
    double sent = 0;
    for (const PlannedStage& stage : mesh.stages) {
      double all = 0;
      for (const Traffic purpose : kPurposes) all += a_step(stage, purpose);
      sent = std::max(sent, all);
    }
    lines.push_back(
        {mesh.mesh.text() + (mesh.own ? " (the experiment's)" : ""), seconds_text(mesh.step()),
         seconds_text(mesh.run),
         fmt::format("{:.0f} %", 100 * mesh.timeline.idle_share(static_cast<int>(mesh.stages.size()))),
         bytes_text(static_cast<double>(mesh.peak())),
         fmt::format("{:.0f} %{}",
                     100.0 * static_cast<double>(mesh.peak()) / static_cast<double>(plan.device.memory),
                     mesh.fits ? "" : ": too much"),
         bytes_text(sent)});
  }
  return lines.size() == 1 ? "" : write_table(lines, 1, TableFormat::kText);
}

std::string memory_table(const MeshPlan& mesh) {
  std::vector<Cells> lines = {{"memory of a rank"}};
  for (const PlannedStage& stage : mesh.stages) lines[0].push_back(stage.units);
  for (const MemoryPart& part : memory_parts()) {
    Cells cells = {part.name};
    for (const PlannedStage& stage : mesh.stages)
      cells.push_back(bytes_text(static_cast<double>(stage.memory.*part.bytes)));
    lines.push_back(cells);
  }
  const auto total = [&](const char* name, std::int64_t (RankMemory::*bytes)() const) {
    Cells cells = {name};
    for (const PlannedStage& stage : mesh.stages)
      cells.push_back(bytes_text(static_cast<double>((stage.memory.*bytes)())));
    lines.push_back(cells);
  };
  total("while training", &RankMemory::training);
  total("while scoring", &RankMemory::scoring);
  return write_table(lines, 1, TableFormat::kText);
}

std::string traffic_table(const MeshPlan& mesh) {
  std::vector<Cells> lines = {{"bytes sent a step"}};
  for (const PlannedStage& stage : mesh.stages) lines[0].push_back(stage.units);
  for (const Traffic purpose : kPurposes) {
    Cells cells = {std::string(name_of(purpose))};
    for (const PlannedStage& stage : mesh.stages)
      cells.push_back(fmt::format("{:.0f}", a_step(stage, purpose)));
    lines.push_back(cells);
  }
  return write_table(lines, 1, TableFormat::kText);
}

std::string refusals(const StepPlan& plan) {
  std::string out;
  for (const MeshPlan& mesh : plan.meshes)
    if (!mesh.refused.empty())
      out += fmt::format("refused: {}{}: {}\n", mesh.mesh.text(), mesh.own ? " (the experiment's)" : "",
                         mesh.refused);
  return out;
}

std::string details(const MeshPlan& mesh) {
  std::string out = fmt::format("{}: {} micro-batch{} a step\n", mesh.mesh.text(), mesh.micro_batches,
                                mesh.micro_batches == 1 ? "" : "es");
  out += memory_table(mesh) + "\n" + traffic_table(mesh);
  const std::string score =
      mesh.score > 0 ? seconds_text(mesh.score) : "not counted, since the split is not here";
  out += fmt::format("\na step: {} = passes {} + gradients {} + update {}; a score: {}; to the end: {}\n",
                     seconds_text(mesh.step()), seconds_text(mesh.passes), seconds_text(mesh.reduction),
                     seconds_text(mesh.update), score, seconds_text(mesh.run));
  return out;
}

}  // namespace

const MeshPlan* shown_mesh(const StepPlan& plan) {
  for (const MeshPlan& mesh : plan.meshes)
    if (mesh.own && mesh.mesh.size() > 1 && mesh.refused.empty()) return &mesh;
  return plan.meshes.empty() || !plan.meshes.front().refused.empty() ? nullptr : &plan.meshes.front();
}

std::string why_nothing_fits(const StepPlan& plan) {
  const MeshPlan* best = shown_mesh(plan);
  for (const MeshPlan& mesh : plan.meshes) {
    if (!mesh.refused.empty()) continue;
    if (mesh.fits) return "";
    if (best == nullptr || mesh.peak() < best->peak()) best = &mesh;
  }
  if (best == nullptr) return "";
  const RankMemory* fullest = &best->stages.front().memory;
  for (const PlannedStage& stage : best->stages)
    if (stage.memory.peak() > fullest->peak()) fullest = &stage.memory;
  const MemoryPart* largest = nullptr;
  for (const MemoryPart& part : memory_parts()) {
    if (fullest->training() >= fullest->scoring() ? part.of_scoring_only : part.of_training_only) continue;
    if (largest == nullptr || fullest->*part.bytes > fullest->*largest->bytes) largest = &part;
  }
  return fmt::format(
      "no mesh fits: {} needs least, {} of {} on its fullest rank, of which {} are {}; {}", best->mesh.text(),
      bytes_text(static_cast<double>(fullest->peak())), bytes_text(static_cast<double>(plan.device.memory)),
      bytes_text(static_cast<double>(fullest->*largest->bytes)), largest->name, largest->remedy);
}

std::string plan_text(const StepPlan& plan, const PlanRequest& request) {
  const ExperimentConfig& config = request.config;
  std::string out = fmt::format("{}: {}, {} steps of {} rows\n{}\n", config.name, config.method.name(),
                                config.train.steps, config.train.batch, plan.model);
  out += fmt::format("rows: {}\n", plan.rows);
  out += fmt::format(
      "{} rank{} on {} node{}: {}, {} of memory each, matrix products at {:.3g} of {:.3g} Tflop/s\n\n",
      request.ranks, request.ranks == 1 ? "" : "s", request.ranks / request.per_node,
      request.ranks == request.per_node ? "" : "s", plan.device.name,
      bytes_text(static_cast<double>(plan.device.memory)),
      plan.device.operations * plan.device.efficiency / 1e12, plan.device.operations / 1e12);
  out += mesh_table(plan) + refusals(plan);
  if (const std::string why = why_nothing_fits(plan); !why.empty()) out += why + "\n";
  if (const MeshPlan* mesh = shown_mesh(plan)) out.append(1, '\n').append(details(*mesh));
  return out;
}

nlohmann::ordered_json plan_json(const StepPlan& plan, const PlanRequest& request) {
  nlohmann::ordered_json out = {{"name", request.config.name},
                                {"ranks", request.ranks},
                                {"ranks_per_node", request.per_node},
                                {"rows", plan.rows},
                                {"planned_steps", kPlannedSteps}};
  out["device"] = {{"name", plan.device.name},
                   {"operations_per_second", plan.device.operations},
                   {"efficiency", plan.device.efficiency},
                   {"memory_bytes", plan.device.memory}};
  out["meshes"] = nlohmann::ordered_json::array();
  for (const MeshPlan& mesh : plan.meshes) {
    nlohmann::ordered_json one = {{"data", mesh.mesh.size(Axis::kData)},
                                  {"pipe", mesh.mesh.size(Axis::kPipe)},
                                  {"tensor", mesh.mesh.size(Axis::kTensor)},
                                  {"own", mesh.own}};
    if (!mesh.refused.empty()) {
      one["refused"] = mesh.refused;
      out["meshes"].push_back(one);
      continue;
    }
    one["fits"] = mesh.fits;
    one["seconds_per_step"] = mesh.step();
    one["seconds_to_the_end"] = mesh.run;
    one["idle_share"] = mesh.timeline.idle_share(static_cast<int>(mesh.stages.size()));
    one["peak_bytes"] = mesh.peak();
    for (const PlannedStage& stage : mesh.stages) {
      nlohmann::ordered_json memory, traffic;
      for (const MemoryPart& part : memory_parts()) memory[part.key] = stage.memory.*part.bytes;
      memory["peak"] = stage.memory.peak();
      for (const Traffic purpose : kPurposes)
        traffic[std::string(name_of(purpose))] = {{"messages", stage.traffic[purpose].messages},
                                                  {"bytes", stage.traffic[purpose].bytes}};
      one["stages"].push_back({{"units", stage.units},
                               {"operations_per_row", stage.cost},
                               {"memory_bytes", memory},
                               {"traffic_of_planned_steps", traffic}});
    }
    out["meshes"].push_back(one);
  }
  return out;
}

}  // namespace trimtab
