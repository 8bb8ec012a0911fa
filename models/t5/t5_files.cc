// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_files.h"

#include <filesystem>
#include <set>
#include <utility>

#include "models/formats/safetensors.h"
#include "models/formats/weight_files.h"
#include "models/t5/t5_config_json.h"
#include "models/t5/t5_t5x.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/tensor_store.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShared = "shared.weight";
constexpr const char* kHead = "lm_head.weight";
constexpr const char* kAliases[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
// Early versions of transformers wrote this table, which nothing reads.
constexpr const char* kUnused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

constexpr const char* kKind = "T5";

void add_tokenizer(T5Files& files, const std::string& folder) {
  const std::string tokenizer = (fs::path(folder) / "spiece.model").string();
  if (!fs::exists(tokenizer)) return;
  files.tokenizer_path = tokenizer;
  files.tokenizer_model = file_text(tokenizer);
}

T5Files open_folder(const std::string& folder) {
  const std::string config_path = (fs::path(folder) / "config.json").string();
  if (!fs::exists(config_path))
    fail_config("{}: there is no config.json: is this the folder of a Hugging Face model?", folder);
  HfT5Config hf = t5_config_from_hf(file_text(config_path), config_path);
  T5Config& config = hf.config;
  std::unique_ptr<TensorSource> source = std::make_unique<Safetensors>(folder);

  // Tied tables may be stored under any of their names, and under several.
  StoredNames renamed;
  std::set<std::string> ignored = {kUnused};
  for (const char* alias : kAliases) {
    ignored.insert(alias);
    if (!source->has(kShared) && renamed.empty() && source->has(alias)) renamed.emplace(kShared, alias);
  }
  const std::string table = renamed.empty() ? kShared : renamed.at(kShared);
  const bool has_head = source->has(kHead);
  config.tied_head = !has_head;
  if (!has_head && hf.says_untied)
    fail("{}: {} says that the head is not tied (tie_word_embeddings is false), but {} is missing",
         source->path(), config_path, kHead);
  check_weights(*source, t5_weights(config), ignored, renamed, kKind);
  for (const char* alias : kAliases)
    if (source->has(alias) && !same_values(*source, alias, table))
      fail("{}: {} differs from {}: encoder and decoder must share one table", source->path(), alias, table);
  config.tied_head = !has_head || same_values(*source, kHead, table);

  T5Files files{config, weight_view(std::move(source), t5_weights(config), renamed), "", ""};
  add_tokenizer(files, folder);
  return files;
}

// spiece.model, which T5X keeps elsewhere, may be put beside it.
T5Files open_checkpoint(const std::string& folder) {
  auto checkpoint = std::make_unique<T5xCheckpoint>(folder);
  const T5Config config = t5_config_of(*checkpoint);
  std::unique_ptr<TensorSource> source = t5x_weights(std::move(checkpoint), config);
  check_weights(*source, t5_weights(config), {}, {}, kKind);
  T5Files files{config, weight_view(std::move(source), t5_weights(config), {}), "", ""};
  add_tokenizer(files, folder);
  return files;
}

T5Files open_store(const std::string& path) {
  auto store = std::make_unique<TensorStore>(path);
  if (!store->attributes().contains(kT5ConfigAttribute))
    fail_config(
        "{}: there is no attribute '{}': this store is not a T5 model, perhaps a checkpoint of tuning", path,
        kT5ConfigAttribute);
  const T5Config config =
      t5_config_from_json(store->text(kT5ConfigAttribute), fmt::format("{}: {}", path, kT5ConfigAttribute));
  check_weights(*store, t5_weights(config), tokenizer_tensors(), {}, kKind);
  std::string tokenizer = read_tokenizer(*store).bytes;
  return {config, weight_view(std::move(store), t5_weights(config), {}), "", std::move(tokenizer)};
}

}  // namespace

T5Files open_t5(const std::string& path) {
  if (!fs::exists(path))
    fail_config("{}: no such file or folder; a T5 is a folder of Hugging Face or T5X or an HDF5 file of ours",
                path);
  if (is_t5x_checkpoint(path)) return open_checkpoint(path);
  return fs::is_directory(path) ? open_folder(path) : open_store(path);
}

void save_t5(const T5Config& config, const TensorSource& weights, const std::string& tokenizer_model,
             const std::string& path, DType type) {
  if (!is_weight_type(type))
    fail_config("{}: weights are stored as float32 or bfloat16, not as {}", path, name_of(type));
  check(config);
  TensorStoreWriter writer(path);
  writer.set(kT5ConfigAttribute, t5_config_to_json(config));
  write_weights(writer, weights, t5_weights(config), type);
  write_tokenizer(writer, {"", tokenizer_model});
  writer.commit();
}

void import_t5(const std::string& source, const std::string& out, DType type) {
  const T5Files files = open_t5(source);
  save_t5(files.config, *files.weights, files.tokenizer_model, out, type);
}

void export_t5_hf(const T5Files& files, const std::string& folder) {
  const T5Config& config = files.config;
  // A tied head whose output is not scaled cannot be told to version 4 but as a head of its own with equal
  // values.
  const bool head_in_file = !config.tied_head || !config.scale_decoder_output;
  WeightShapes tensors = t5_weights(config);
  const DType type = files.weights->info(kShared).dtype;
  StoredNames stored;
  if (config.tied_head && head_in_file) {
    tensors.push_back({kHead, tensors.front().shape});
    stored.emplace(kHead, kShared);
  }
  const std::string config_text = t5_config_to_hf(config, type, head_in_file);
  write_safetensors(*files.weights, tensors, stored, folder);
  if (!files.tokenizer_model.empty())
    write_file_atomically((fs::path(folder) / "spiece.model").string(), files.tokenizer_model);
  write_file_atomically((fs::path(folder) / "config.json").string(), config_text);
}

}  // namespace trimtab
