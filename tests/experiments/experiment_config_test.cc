// SPDX-License-Identifier: Apache-2.0
//
// What --set makes of an experiment.
#include "experiments/experiment_config.h"

#include <gmock/gmock.h>

namespace trimtab {
namespace {

ExperimentConfig after(const std::vector<std::string>& set) {
  return read_experiment(parse_yaml("output: out\n"
                                    "model: {weights: w}\n"
                                    "task: {name: rte}\n"
                                    "method: {name: prompt_tuning, length: 7}\n"
                                    "train: {steps: 9, batch: 4}\n"
                                    "mesh: {data: 2, tensor: 2, timeout: 300, late: 10}\n",
                                    "test"),
                         set);
}

TEST(Set, ASectionLeavesWhatItDoesNotName) {
  const ExperimentConfig config = after({"train={steps: 3}"});
  EXPECT_EQ(config.train.steps, 3);
  EXPECT_EQ(config.train.batch, 4);
}

// The degrees say together how many ranks there are, so that "{data: 1, pipe: 4}" means four.
TEST(Set, DegreesOfTheMeshAreGivenTogether) {
  const ExperimentConfig config = after({"mesh={data: 1, pipe: 4}"});
  EXPECT_EQ(mesh_of(config), Mesh(1, 4, 1));
  EXPECT_EQ(config.mesh.timeout, 300);
  EXPECT_EQ(config.mesh.late, 10);
  EXPECT_EQ(mesh_of(after({"mesh={late: 5}"})), Mesh(2, 1, 2));
  EXPECT_EQ(mesh_of(after({"mesh.pipe=4"})), Mesh(2, 4, 2));
  EXPECT_EQ(mesh_of(after({"mesh={}"})), Mesh());
}

TEST(Set, AnotherMethodTakesNoOptionsOver) {
  EXPECT_EQ(after({"method={name: lora}"}).method.name(), "lora");
  EXPECT_EQ(after({"method.name=lora"}).method.name(), "lora");
}

}  // namespace
}  // namespace trimtab
