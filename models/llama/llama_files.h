// SPDX-License-Identifier: Apache-2.0
//
// Llamas on disk, in three forms: (a) a Hugging Face folder (config.json, safetensors in one file or several,
// a tokenizer), (b) one HDF5 file of ours, a TensorStore that holds the weights under their Hugging Face
// names, the config as JSON in the attribute `llama_config`, and the vocabulary's file (weight_files.h), (c)
// a GGUF file, whose weights are decoded while they are read (llama_gguf.h). Whoever opens a model owns what
// comes back.
#pragma once

#include <memory>
#include <string>

#include "models/family.h"
#include "models/llama/llama_config.h"

namespace trimtab {

inline constexpr const char* kLlamaConfigAttribute = "llama_config";

struct LlamaFiles {
  LlamaConfig config;
  // Exactly the tensors of llama_weights(config), with their shapes, float32 or bfloat16.
  std::unique_ptr<TensorSource> weights;
  TokenizerFile tokenizer;
};

// Opens any of them. Nothing but headers is read, except to find whether a head that is there
// equals the embedding table. Throws ConfigError for what is no model that we run, Error that lists missing,
// unexpected and misshapen tensors by name, and what the readers of the formats throw.
LlamaFiles open_llama(const std::string& path);

// Writes (b). `type` is float32 or bfloat16. The file is there in full or not at all; at most some megabytes
// are in memory at a time.
void save_llama(const LlamaFiles& files, const std::string& path, DType type);

// Writes (a). `folder` is made if need be; a model that is there already is replaced file by file,
// config.json last. The vocabulary of a GGUF goes into tokenizer.gguf, which is read here but not by
// transformers. Throws ConfigError for a scaling of positions that config.json cannot say.
void export_llama_hf(const LlamaFiles& files, const std::string& folder);

}  // namespace trimtab
