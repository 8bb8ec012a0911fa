// SPDX-License-Identifier: Apache-2.0
//
// A golden case (tests/golden/README.md) as the model wants it, and the comparison with what was stored.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "models/family.h"
#include "models/formats/safetensors.h"

namespace trimtab::test {

inline const std::vector<std::string>& golden_cases() {
  static const std::vector<std::string> cases = {
      "t5_10",       "t5_11", "t5_inner", "t5_depth",     "llama_tied",    "llama_scaled",
      "llama_inner", "qwen2", "qwen3",    "llama_groups", "llama_one_key", "llama_own_keys"};
  return cases;
}

class GoldenCase {
 public:
  // `model` is the same model in another file; empty: the case's own.
  explicit GoldenCase(const std::string& name, const std::string& model = "");

  const BaseModel& model() const { return *model_; }
  const std::string& folder() const { return folder_; }
  int layers() const { return static_cast<int>(model_->cost_units({}).size()); }
  // The whole model on one rank.
  std::unique_ptr<ModelStage> stage(World& world) const { return model_->make_stage(world, {{0, layers()}}); }
  // Floats or int32, as stored.
  at::Tensor stored(const std::string& name) const;
  bool has(const std::string& name) const { return golden_.has(name); }
  std::vector<std::string> names() const { return golden_.names(); }
  // The rows [begin, end) as one micro-batch in lane 0; all rows by default.
  MicroBatch batch(std::int64_t begin = 0, std::int64_t end = -1) const;
  std::vector<std::vector<std::int32_t>> generated() const;

 private:
  std::vector<std::vector<std::int64_t>> rows_of(const std::string& ids, const std::string& lengths) const;

  std::string folder_;
  Safetensors golden_;
  std::unique_ptr<BaseModel> model_;
};

// The same rows, each with this target.
MicroBatch with_target(MicroBatch batch, const std::vector<std::int32_t>& target, std::int64_t pad_id);

// max |a - b| / max |b|.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);

// A trainable prompt in front of every row of lane 0.
class FixedPrompt : public InputAdapter {
 public:
  explicit FixedPrompt(at::Tensor rows, std::vector<PromptPlace> places = {{}})
      : rows_(std::move(rows)), places_(std::move(places)) {}
  std::vector<PromptPlace> places() const override { return places_; }
  std::int64_t positions(std::int32_t) const override { return rows_.size(0); }
  at::Tensor rows(std::int32_t) const override { return rows_; }

 private:
  at::Tensor rows_;
  std::vector<PromptPlace> places_;
};

}  // namespace trimtab::test
