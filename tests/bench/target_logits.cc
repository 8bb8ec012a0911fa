// SPDX-License-Identifier: Apache-2.0
//
// What a model of any family and file says of given tokens, for a comparison with other programs:
//   trimtab_target_logits MODEL rows.json logits.npy answers.json MOST
// rows.json: [{"input": ids, "target": ids}, ...]. Writes the logits at all target positions, float32 [target
// tokens, vocabulary], and the greedy continuation of each input, at most MOST ids.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"
#include "experiments/to_micro_batch.h"
#include "models/family.h"
#include "models/formats/npy.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using Json = nlohmann::json;

Batch read_rows(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("{}: cannot be read", path);
  Batch batch;
  for (const Json& row : Json::parse(file)) {
    const auto input = row.at("input").get<std::vector<TokenId>>(),
               target = row.at("target").get<std::vector<TokenId>>();
    batch.append(input, target, batch.rows(), batch.rows());
  }
  return batch;
}

void run(const std::string& model_path, const std::string& rows, const std::string& logits_path,
         const std::string& answers_path, std::int64_t most) {
  const c10::NoGradGuard no_grad;
  World world = solo_world();
  const auto model = open_model(model_path);
  const auto stage = model->make_stage(world, {{0, static_cast<int>(model->cost_units({}).size())}});
  const Batch batch = read_rows(rows);
  const MicroBatch micro = to_micro_batch(batch, stage->pad_id());
  const at::Tensor logits = stage->logits(stage->forward({}, micro, {})).contiguous();
  write_npy(logits_path, {logits.size(0), logits.size(1)},
            std::span(logits.const_data_ptr<float>(), static_cast<std::size_t>(logits.numel())));
  Json answers = Json::array();
  for (const auto& ids : stage->generate(micro, most)) answers.push_back(ids);
  std::ofstream(answers_path) << answers.dump();
}

}  // namespace
}  // namespace trimtab

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s MODEL rows.json logits.npy answers.json MOST\n", argv[0]);
    return 2;
  }
  try {
    trimtab::run(argv[1], argv[2], argv[3], argv[4], std::stoll(argv[5]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
