// SPDX-License-Identifier: Apache-2.0
//
// A short run of a golden case on a mesh of ranks, optimizer and all, and what it must have in common with
// one rank after every step and at the end. Steps build on each other, so that what one of them leaves wrong
// in a value, in the optimizer's state or in a gradient that was not cleared shows in the next. As
// mesh_step.h, its body is run by every rank of a World.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/mesh_step.h"

namespace trimtab::test {

struct Course {
  std::vector<StepTotals> steps;
  std::map<std::string, at::Tensor> trained;  // at the end
  TokenRows answers;                          // of all rows, by what was trained
};
Course run_on_one_rank(const GoldenCase& golden, const Setting& setting);

// Collective over the ranks of `world`: the losses and gradient norms of every step, this rank's shares of
// what was trained, and the answers of this replica's rows are those of `expected`.
void expect_run(const Course& expected, const GoldenCase& golden, const Layout& layout,
                const Setting& setting, World& world);

}  // namespace trimtab::test
