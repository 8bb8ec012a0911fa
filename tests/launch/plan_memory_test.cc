// SPDX-License-Identifier: Apache-2.0
//
// The memory that `trimtab plan` tells of each rank is the peak of its process within a tenth, on a model of
// which a step needs about as much as the program itself.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "launch/program.h"
#include "models/t5/t5_files.h"
#include "models/t5/t5_init.h"

namespace trimtab::testing {
namespace {

using Json = nlohmann::json;

void make_larger_model(const Workshop& shop) {
  T5Config config;
  config.vocab = 256;
  config.d_model = 256;
  config.d_ff = 1024;
  config.heads = 4;
  config.encoder_layers = 5;
  config.decoder_layers = 1;
  save_t5(config, T5RandomWeights(config, 1), shop.read("spiece.model"), shop.model(), DType::kFloat32);
}

struct Cut {
  std::string name, mesh;
  std::vector<std::size_t> stages;  // of each rank

  // In the names of tests.
  friend void PrintTo(const Cut& it, std::ostream* out) { *out << it.name; }
};

class PlannedMemory : public ::testing::TestWithParam<Cut> {};

TEST_P(PlannedMemory, IsThePeakOfEachRank) {
  const Workshop shop;
  make_larger_model(shop);
  const std::vector<std::string> set = {"mesh=" + GetParam().mesh, "method.length=90",
                                        "train.batch=16",          "train.micro_batch_tokens=4096",
                                        "train.steps=2",           "train.evaluate_every=0"};
  std::vector<std::string> plan = {"plan", shop.experiment(), "--json", shop.path("plan.json")},
                           train = {"train", shop.experiment()};
  for (const std::string& option : set)
    for (auto* command : {&plan, &train}) command->insert(command->end(), {"--set", option});
  const Outcome planned = run_program(plan);
  ASSERT_EQ(planned.code, 0) << planned.err;
  const auto ranks = static_cast<int>(GetParam().stages.size());
  const Outcome trained = ranks == 1 ? run_program(train) : run_on_ranks(ranks, train);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Json peaks = Json::parse(shop.read("run/record.json")).at("peak_memory_bytes_of_ranks");
  ASSERT_EQ(peaks.size(), GetParam().stages.size());
  const Json meshes = Json::parse(shop.read("plan.json")).at("meshes");
  const auto own = std::ranges::find_if(meshes, [](const Json& mesh) { return mesh.at("own").get<bool>(); });
  ASSERT_NE(own, meshes.end()) << meshes;
  for (std::size_t rank = 0; rank < peaks.size(); ++rank) {
    const Json& parts = own->at("stages")[GetParam().stages[rank]].at("memory_bytes");
    const double wanted = parts.at("peak"), measured = peaks[rank];
    EXPECT_LT(std::abs(wanted / measured - 1.0), 0.1)
        << "rank " << rank << ": planned " << wanted / 1048576 << " MiB, measured " << measured / 1048576
        << " MiB: " << parts;
    RecordProperty("planned_over_measured_" + std::to_string(rank), std::to_string(wanted / measured));
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, PlannedMemory,
                         ::testing::Values(Cut{"OneProcess", "{}", {0}}, Cut{"Pipe2", "{pipe: 2}", {0, 1}},
                                           Cut{"Tensor2", "{tensor: 2}", {0, 0}}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace trimtab::testing
