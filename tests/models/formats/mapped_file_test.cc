// SPDX-License-Identifier: Apache-2.0
//
// What reading mapped weights takes of a process's memory, and gives back.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "models/family.h"

namespace trimtab {
namespace {

const std::string kGolden = TRIMTAB_GOLDEN_DIR;

// Kilobytes of mappings of this file that count to this process.
long resident(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  long sum = 0;
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" kB") == std::string::npos && line.find('-') < 17) inside = line.ends_with(path);
    if (inside && line.starts_with("Rss:")) sum += std::stol(line.substr(4));
  }
  return sum;
}

std::vector<float> all_values(const TensorSource& source) {
  std::vector<float> all;
  for (const std::string& name : source.names()) {
    std::size_t count = 1;
    for (const std::int64_t size : source.info(name).shape) count *= static_cast<std::size_t>(size);
    all.resize(all.size() + count);
    source.read(name, {}, DType::kFloat32, all.data() + all.size() - count);
  }
  return all;
}

struct Mapped {
  std::string name, model, file;
  friend void PrintTo(const Mapped& it, std::ostream* out) { *out << it.name; }
};

class MappedWeights : public ::testing::TestWithParam<Mapped> {};
INSTANTIATE_TEST_SUITE_P(Of, MappedWeights,
                         ::testing::Values(Mapped{"Safetensors", "/llama_tied",
                                                  "/llama_tied/model.safetensors"},
                                           Mapped{"T5", "/t5_11", "/t5_11/model.safetensors"},
                                           Mapped{"Gguf", "/gguf/llama.gguf", "/gguf/llama.gguf"}),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(MappedWeights, AreForgottenAndReadAgain) {
  const std::string file = std::filesystem::canonical(kGolden + GetParam().file);
  const auto model = open_model(kGolden + GetParam().model);
  const std::vector<float> values = all_values(model->weights());
  EXPECT_GT(resident(file), 0);
  model->weights().forget();
  EXPECT_EQ(resident(file), 0);
  EXPECT_EQ(all_values(model->weights()), values);
}

}  // namespace
}  // namespace trimtab
