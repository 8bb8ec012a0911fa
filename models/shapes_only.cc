// SPDX-License-Identifier: Apache-2.0
#include "models/shapes_only.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "models/llama/llama_config_json.h"
#include "models/llama/llama_model.h"
#include "models/t5/t5_config_json.h"
#include "models/t5/t5_model.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::unique_ptr<BaseModel> t5_of(const T5Config& config, const std::string& path) {
  return make_t5_model({config, std::make_unique<ShapesOnly>(t5_weights(config), path), "", ""});
}

}  // namespace

ShapesOnly::ShapesOnly(const WeightShapes& weights, std::string path) : path_(std::move(path)) {
  for (const WeightShape& weight : weights) weights_[weight.name] = {DType::kFloat32, weight.shape};
}

ShapesOnly::ShapesOnly(const TensorSource& source) : path_(source.path()) {
  for (const std::string& name : source.names()) weights_[name] = source.info(name);
}

std::vector<std::string> ShapesOnly::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : weights_) names.push_back(name);
  return names;
}

TensorInfo ShapesOnly::info(const std::string& name) const {
  const auto found = weights_.find(name);
  if (found == weights_.end()) fail("{}: there is no weight {}", path_, name);
  return found->second;
}

void forget_weights(BaseModel& model) {
  model.wrap_weights(
      [](std::unique_ptr<TensorSource> source) { return std::make_unique<ShapesOnly>(*source); });
}

std::unique_ptr<BaseModel> model_of_shape(const std::string& size_or_folder) {
  const std::filesystem::path config = std::filesystem::path(size_or_folder) / "config.json";
  if (!std::filesystem::exists(config)) return t5_of(t5_preset(size_or_folder), "T5 1.1 " + size_or_folder);
  const std::string text = file_text(config.string());
  if (family_of(size_or_folder) == "llama") {
    const LlamaConfig llama = llama_config_from_hf(text, config.string());
    return make_llama_model({llama, std::make_unique<ShapesOnly>(llama_weights(llama), size_or_folder), {}});
  }
  HfT5Config t5 = t5_config_from_hf(text, config.string());
  t5.config.tied_head = !t5.says_untied;
  return t5_of(t5.config, size_or_folder);
}

}  // namespace trimtab
