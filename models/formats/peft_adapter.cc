// SPDX-License-Identifier: Apache-2.0
#include "models/formats/peft_adapter.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "models/formats/json_fields.h"
#include "models/formats/npy.h"
#include "models/formats/safetensors.h"
#include "models/formats/weight_files.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/finite.h"
#include "runtime/shard.h"
#include "runtime/tensor_store.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kTensors = "adapter_model.safetensors";
constexpr const char* kPromptEmbeddings = "prompt_embeddings";

// The folder of an adapter that is named by itself or by its file of tensors.
fs::path folder_of(const std::string& path) {
  return fs::is_directory(path) ? fs::path(path) : fs::path(path).parent_path();
}

// What is computed with a NaN means nothing, and a merged one would stay in the weights.
NamedArray finite(NamedArray array, const std::string& path) {
  if (!all_finite(array.values))
    fail_config("{}: '{}' has values that are not finite (NaN or infinite): export it from an earlier step",
                path, array.name);
  return array;
}

NamedArray read_array(const TensorSource& source, const std::string& name) {
  NamedArray out{name, source.info(name).shape, {}};
  out.values.resize(static_cast<std::size_t>(element_count(out.shape)));
  source.read(name, {}, DType::kFloat32, out.values.data());
  return finite(std::move(out), source.path());
}

// The prompt of a file of tensors that lies alone, without the config that says how many rows count.
NamedArray lone_prompt(const std::string& path) {
  const Safetensors tensors(path);
  if (!tensors.has(kPromptEmbeddings))
    fail_config("{}: has no tensor '{}', so it is not what PEFT keeps of a prompt", path, kPromptEmbeddings);
  return read_array(tensors, kPromptEmbeddings);
}

NamedArray prompt_of_adapter(const std::string& path) {
  PeftAdapter adapter = read_peft_adapter(path);
  const std::string where = (folder_of(path) / kConfig).string();
  const Json config = adapter.config;
  const JsonFields fields(config, where);
  std::string type;
  fields.need("peft_type", type);
  if (type != "PROMPT_TUNING" && type != "P_TUNING")
    fail_config("{}: is an adapter of the method {}: a prompt (PROMPT_TUNING or P_TUNING) is needed", where,
                type);
  std::int64_t length = 0;
  fields.need("num_virtual_tokens", length);
  if (adapter.tensors.size() != 1 || adapter.tensors.front().name != kPromptEmbeddings)
    fail("{}: exactly the tensor '{}' is expected", path, kPromptEmbeddings);
  NamedArray rows = std::move(adapter.tensors.front());
  if (rows.shape.size() != 2 || (rows.shape[0] != length && rows.shape[0] != 2 * length))
    fail_config("{}: '{}' is {}, but num_virtual_tokens is {}", path, kPromptEmbeddings,
                to_string(rows.shape), length);
  rows.shape[0] = length;
  rows.values.resize(static_cast<std::size_t>(element_count(rows.shape)));
  return rows;
}

NamedArray prompt_of_checkpoint(const std::string& path) {
  const TensorStore store(path);
  // P-tuning trains a network and keeps the prompt that it comes to.
  for (const char* name : {"result:prompt", "value:prompt"})
    if (store.has(name)) return read_array(store, name);
  fail_config("{}: holds no 'prompt': only a checkpoint of prompt tuning or P-tuning starts another prompt",
              path);
}

}  // namespace

bool is_peft_adapter(const std::string& path) {
  if (fs::is_directory(path)) return fs::exists(fs::path(path) / kConfig);
  return path.ends_with(".safetensors") && fs::exists(path) && fs::exists(folder_of(path) / kConfig);
}

PeftAdapter read_peft_adapter(const std::string& path) {
  const fs::path folder = folder_of(path);
  PeftAdapter adapter;
  adapter.path = path;
  const std::string config = (folder / kConfig).string();
  if (!fs::exists(config)) fail("{}: there is no {}: is this a folder of PEFT's?", folder.string(), kConfig);
  parse_json_object(file_text(config), config);  // for its messages
  adapter.config = nlohmann::ordered_json::parse(file_text(config));
  const std::string file = fs::is_directory(path) ? (folder / kTensors).string() : path;
  if (!fs::exists(file))
    fail_config(
        "{}: there is no {}{}", folder.string(), kTensors,
        fs::exists(folder / "adapter_model.bin")
            ? "; adapter_model.bin is not read: load it with PEFT and save it again with save_pretrained"
            : "");
  const Safetensors tensors(file);
  adapter.metadata = tensors.metadata();
  for (const std::string& name : tensors.names()) adapter.tensors.push_back(read_array(tensors, name));
  return adapter;
}

void write_peft_adapter(const PeftAdapter& adapter, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make the folder {}: {}", folder, error.message());
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const NamedArray& array : adapter.tensors)
    tensors.push_back({array.name, {DType::kFloat32, array.shape}});
  SafetensorsWriter writer((fs::path(folder) / kTensors).string(), tensors, adapter.metadata);
  for (const NamedArray& array : adapter.tensors)
    writer.append(array.values.data(), array.values.size() * sizeof(float));
  writer.commit();
  write_file_atomically((fs::path(folder) / kConfig).string(), adapter.config.dump(2) + "\n");
}

NamedArray read_prompt_rows(const std::string& path) {
  if (!fs::exists(path)) fail_config("{}: no such file or folder", path);
  if (is_peft_adapter(path)) return prompt_of_adapter(path);
  if (fs::is_directory(path)) fail_config("{}: there is no {}: is this a folder of PEFT's?", path, kConfig);
  if (path.ends_with(".safetensors")) return lone_prompt(path);
  if (path.ends_with(".h5")) return prompt_of_checkpoint(path);
  NpyArray array = read_npy(path);
  return finite({"prompt", std::move(array.shape), std::move(array.values)}, path);
}

std::optional<NamedArray> read_decoder_prompt_rows(const std::string& path) {
  constexpr const char* kName = "value:decoder_prompt";
  if (!path.ends_with(".h5")) return std::nullopt;
  const TensorStore store(path);
  if (!store.has(kName)) return std::nullopt;
  return read_array(store, kName);
}

}  // namespace trimtab
