// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_files.h"

#include <filesystem>
#include <set>
#include <utility>

#include "models/formats/gguf.h"
#include "models/formats/safetensors.h"
#include "models/formats/weight_files.h"
#include "models/llama/llama_config_json.h"
#include "models/llama/llama_of_gguf.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/tensor_store.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kKind = "Llama";
constexpr const char* kTokenizerName = "tokenizer_name";
constexpr const char* kTokenizerJson = "tokenizer.json";
// A GGUF file without tensors, which llama.cpp has for vocabularies alone.
constexpr const char* kVocabularyGguf = "tokenizer.gguf";

// Some versions of transformers stored the frequencies of each layer, which follow from the config.
std::set<std::string> unused_tensors(const LlamaConfig& config) {
  std::set<std::string> names;
  for (std::int64_t i = 0; i < config.layers; ++i)
    names.insert(fmt::format("model.layers.{}.self_attn.rotary_emb.inv_freq", i));
  return names;
}

TokenizerFile tokenizer_of_folder(const std::string& folder) {
  TokenizerFile tokenizer;
  for (const char* name : {kTokenizerJson, "tokenizer.model", "spiece.model", kVocabularyGguf}) {
    const std::string path = (fs::path(folder) / name).string();
    if (!fs::exists(path)) continue;
    tokenizer = {path, file_text(path), name};
    break;
  }
  if (tokenizer.bytes.empty()) return {"", "", kTokenizerJson};
  if (tokenizer.name == kTokenizerJson)
    for (const char* name : {kTokenizerConfig, "special_tokens_map.json"}) {  // the same keys in both
      const std::string path = (fs::path(folder) / name).string();
      if (tokenizer.config.empty() && fs::exists(path)) tokenizer.config = file_text(path);
    }
  return tokenizer;
}

LlamaFiles open_folder(const std::string& folder) {
  const std::string config_path = (fs::path(folder) / "config.json").string();
  if (!fs::exists(config_path))
    fail_config("{}: there is no config.json: is this the folder of a Hugging Face model?", folder);
  LlamaConfig config = llama_config_from_hf(file_text(config_path), config_path);
  std::unique_ptr<TensorSource> source = std::make_unique<Safetensors>(folder);
  std::set<std::string> ignored = unused_tensors(config);
  if (config.tied_head) ignored.insert(kHead);
  check_weights(*source, llama_weights(config), ignored, {}, kKind);
  if (config.tied_head && source->has(kHead) && !same_values(*source, kHead, kEmbedding))
    fail("{}: {} says that the head is tied (tie_word_embeddings), but {} differs from {}", source->path(),
         config_path, kHead, kEmbedding);
  auto weights = weight_view(std::move(source), llama_weights(config), {});
  return {config, std::move(weights), tokenizer_of_folder(folder)};
}

LlamaFiles open_store(const std::string& path) {
  auto store = std::make_unique<TensorStore>(path);
  if (!store->attributes().contains(kLlamaConfigAttribute))
    fail_config("{}: there is no attribute '{}': this store is not a Llama model", path,
                kLlamaConfigAttribute);
  const LlamaConfig config = llama_config_from_json(store->text(kLlamaConfigAttribute),
                                                    fmt::format("{}: {}", path, kLlamaConfigAttribute));
  check_weights(*store, llama_weights(config), tokenizer_tensors(), {}, kKind);
  TokenizerFile tokenizer = read_tokenizer(*store);
  tokenizer.name = tokenizer.bytes.empty() ? kTokenizerJson : store->text(kTokenizerName);
  return {config, weight_view(std::move(store), llama_weights(config), {}), std::move(tokenizer)};
}

LlamaFiles open_gguf(const std::string& path) {
  LlamaOfGguf model = open_llama_gguf(path);
  return {model.config, std::move(model.weights), {path, "", ""}};
}

// As a file of its own.
TokenizerFile tokenizer_to_write(const LlamaFiles& files) {
  if (!is_gguf(files.tokenizer.path)) return files.tokenizer;
  return {"", Gguf(files.tokenizer.path).without_tensors(), kVocabularyGguf};
}

}  // namespace

LlamaFiles open_llama(const std::string& path) {
  if (!fs::exists(path))
    fail_config("{}: no such file or folder; a Llama is a Hugging Face folder or an HDF5 file of ours", path);
  if (fs::is_directory(path)) return open_folder(path);
  return is_gguf(path) ? open_gguf(path) : open_store(path);
}

void save_llama(const LlamaFiles& files, const std::string& path, DType type) {
  if (!is_weight_type(type))
    fail_config("{}: weights are stored as float32 or bfloat16, not as {}", path, name_of(type));
  check(files.config);
  TensorStoreWriter writer(path);
  writer.set(kLlamaConfigAttribute, llama_config_to_json(files.config));
  write_weights(writer, *files.weights, llama_weights(files.config), type);
  const TokenizerFile tokenizer = tokenizer_to_write(files);
  write_tokenizer(writer, tokenizer);
  if (!tokenizer.bytes.empty()) writer.set(kTokenizerName, tokenizer.name);
  writer.commit();
}

void export_llama_hf(const LlamaFiles& files, const std::string& folder) {
  const DType type = files.weights->info(kEmbedding).dtype;
  const std::string config = llama_config_to_hf(files.config, type);
  write_safetensors(*files.weights, llama_weights(files.config), {}, folder);
  write_tokenizer(folder, tokenizer_to_write(files));
  write_file_atomically((fs::path(folder) / "config.json").string(), config);
}

}  // namespace trimtab
