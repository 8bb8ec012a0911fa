// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/family.h"
#include "models/formats/gguf.h"
#include "models/formats/t5x_checkpoint.h"
#include "models/llama/llama_model.h"
#include "models/t5/t5_model.h"
#include "runtime/check.h"
#include "runtime/tensor_store.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

// The name of the family that `matches`; "" if none does.
template <class Matches>
std::string family_where(Matches matches) {
  for (const auto& [name, family] : family_registry().entries())
    if (matches(family)) return name;
  return "";
}

std::string family_of_folder(const std::string& folder) {
  const std::string path = (fs::path(folder) / "config.json").string();
  if (!fs::is_regular_file(path))
    fail_config("{}: there is no config.json: is this the folder of a Hugging Face model?", folder);
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("{}: is no JSON: it is cut off or damaged; get the model again", path);
  if (!json.is_object() || !json.contains("model_type") || !json["model_type"].is_string())
    fail_config("{}: 'model_type' is missing: is this a model's config.json?", path);
  const auto type = json["model_type"].get<std::string>();
  const std::string name = family_where(
      [&](const ModelFamily& family) { return std::ranges::count(family.model_types, type) > 0; });
  if (!name.empty()) return name;
  std::vector<std::string> known;
  for (const auto& [unused, family] : family_registry().entries())
    known.insert(known.end(), family.model_types.begin(), family.model_types.end());
  fail_config("{}: model_type is '{}'; models of these types run: {}", path, type, fmt::join(known, ", "));
}

std::string family_of_store(const std::string& path) {
  const TensorStore store(path);
  std::string name =
      family_where([&](const ModelFamily& family) { return store.attributes().contains(family.attribute); });
  if (name.empty())
    fail_config("{}: this store is not a model, perhaps a checkpoint of tuning: it has no config", path);
  return name;
}

}  // namespace

const Registry<ModelFamily>& family_registry() {
  static const Registry<ModelFamily> registry("model family", {
                                                                  {"t5", t5_family()},
                                                                  {"llama", llama_family()},
                                                              });
  return registry;
}

std::string family_of(const std::string& path) {
  if (!fs::exists(path))
    fail_config(
        "{}: no such file or folder; a model is a folder of Hugging Face or T5X, an HDF5 file of ours or a "
        "GGUF file",
        path);
  if (is_t5x_checkpoint(path)) return "t5";
  if (fs::is_directory(path)) return family_of_folder(path);
  if (is_gguf(path)) return "llama";  // the only family in GGUF files, or it refuses them
  if (path.ends_with(".gguf"))
    fail("{}: does not begin as a GGUF file does: it is damaged; get it again", path);
  return family_of_store(path);
}

std::unique_ptr<BaseModel> open_model(const std::string& path, const std::string& family) {
  return family_registry().find(family.empty() ? family_of(path) : family, "model.family").open(path);
}

}  // namespace trimtab
