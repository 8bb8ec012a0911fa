// SPDX-License-Identifier: Apache-2.0
//
// Reading the weights of a rank takes about as much memory as its part of the model, not as the model. CTest
// runs each test in a process of its own, so that no other case has raised the mark.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include "experiments/machine.h"
#include "models/family.h"
#include "models/file_checks.h"
#include "models/t5/t5_files.h"
#include "models/t5/t5_init.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

// 134 MB of float32, the tables of the vocabulary 8 MB each.
T5Config config() {
  T5Config config;
  config.vocab = 4096;
  config.d_model = 512;
  config.d_ff = 1536;
  config.heads = 8;
  config.encoder_layers = 4;
  config.decoder_layers = 4;
  return config;
}

struct Reading {
  double whole = 0, part = 0, growth = 0;  // bytes
};

// The last rank of a mesh reads the units [first, all).
Reading read_part(const Mesh& mesh, int first) {
  at::set_num_threads(1);
  const test::Folder folder;
  const std::string file = folder / "model.h5";
  save_t5(config(), T5RandomWeights(config(), 1), "", file, DType::kFloat32);
  const auto model = open_model(file);
  ThreadGroup group(mesh.size());
  std::vector<World> worlds = thread_worlds(group, mesh);
  reset_peak_memory();
  const auto before = static_cast<double>(peak_memory());
  const auto stage =
      model->make_stage(worlds.back(), {{first, static_cast<int>(model->cost_units({}).size())}});
  Reading reading;
  reading.growth = static_cast<double>(peak_memory()) - before;
  reading.whole = 4.0 * static_cast<double>(parameter_count(config()));
  for (const auto& weight : stage->base_weights()) reading.part += static_cast<double>(weight.value.nbytes());
  return reading;
}

class StageMemory : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  }
};

constexpr double kAbout = 1.3;  // of what is read; the rest is for buffers

TEST_F(StageMemory, OfOneRankIsTheModel) {
  const Reading reading = read_part(Mesh(), 0);
  EXPECT_GT(reading.whole, 100e6);
  EXPECT_GE(reading.part, reading.whole);
  EXPECT_GT(reading.growth, 0.9 * reading.part) << "what is measured is there";
  EXPECT_LT(reading.growth, kAbout * reading.part);
}

TEST_F(StageMemory, OfATensorRankIsItsSlabs) {
  const Reading reading = read_part(Mesh(1, 1, 2), 0);
  EXPECT_LT(reading.part, 0.55 * reading.whole);
  EXPECT_LT(reading.growth, kAbout * reading.part);
}

TEST_F(StageMemory, OfAStageIsItsLayers) {
  const Reading reading = read_part(Mesh(1, 2, 1), config().encoder_layers);
  EXPECT_LT(reading.part, 0.65 * reading.whole);
  EXPECT_LT(reading.growth, kAbout * reading.part);
}

}  // namespace
}  // namespace trimtab
