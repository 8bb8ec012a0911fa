// SPDX-License-Identifier: Apache-2.0
//
// One step of a golden case on a mesh of ranks, and what it must have in common with one rank: loss, the
// gradient of everything that is trained, and greedy predictions. The bodies are run by every rank of a
// World, whatever its ranks are: threads (model_pipeline_test.cc), processes (model_pipeline_mpi_test.cc) or
// processes with GPUs (tests/gpu/nccl_model_test.cc).
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "models/mesh_case.h"
#include "models/model_pass.h"
#include "parallel/gradient_sync.h"

namespace trimtab::test {

constexpr double kTolerance = 1e-5;
constexpr double kZLoss = 1e-4;

struct Setting {
  bool whole_model = false;  // otherwise a prompt
  double dropout = 0.0;
  bool sum_shared = true;
  at::Device device = at::kCPU;  // of this rank
  double tolerance = kTolerance;

  ForwardContext context(std::int64_t step = 3) const {
    return {.training = true, .dropout = dropout, .seed = 7, .step = step, .observe = {}};
  }
  std::string text() const { return fmt::format("{} dropout {}", whole_model ? "model" : "prompt", dropout); }
};
inline const std::array<Setting, 4> kSettings = {
    {{false, 0.0, true}, {true, 0.0, true}, {false, 0.1, true}, {true, 0.1, true}}};

// A rank's stage, and what it trains of it. The parameters outlive it.
struct Trainee {
  Trainee(const GoldenCase& golden, const Layout& layout, const Setting& setting, World& world);

  FixedPrompt prompt;
  std::unique_ptr<ModelStage> stage;
  Parameters parameters;
};

using PassMaker = std::function<std::unique_ptr<PipelineStage>(ModelStage&, const ForwardContext&)>;
std::unique_ptr<PipelineStage> plain_pass(ModelStage& stage, const ForwardContext& context);

// One rank's part of a step.
struct RankResult {
  StepTotals totals;
  Parameters parameters;  // with their gradients
};
RankResult run_rank(const GoldenCase& golden, const Layout& layout, const Setting& setting, World& world,
                    const PassMaker& make_pass = plain_pass);

// What one rank computes.
struct Expected {
  double loss = 0;
  std::int64_t tokens = 0;
  std::map<std::string, at::Tensor> gradients;
};
Expected on_one_rank(const GoldenCase& golden, const Setting& setting);

// The greatest error of a gradient, relative to the greatest number of the whole one; `where` names it.
double worst_error(const RankResult& result, const Expected& expected, const Communicator& tensor,
                   std::string& where);

// Collective over the ranks of `world`: its step is that of one rank, and every trained tensor is on some
// rank.
void expect_step(const Expected& expected, const GoldenCase& golden, const Layout& layout,
                 const Setting& setting, World& world);

// What this replica's rows go on with, greedily. Collective over the ranks of a replica.
TokenRows answers_of(ModelStage& stage, const GoldenCase& golden, World& world);

// Collective over the ranks of `world`: this replica's rows go on as the reference goes on, with its prompt.
void expect_predictions(const GoldenCase& golden, const Layout& layout, World& world,
                        at::Device device = at::kCPU);

}  // namespace trimtab::test
