// SPDX-License-Identifier: Apache-2.0
//
// T5 models on disk, in three forms: (a) a Hugging Face folder (config.json, safetensors, spiece.model), (b)
// one HDF5 file of ours, a TensorStore that holds the weights under their Hugging Face names, the config as
// JSON in the attribute `t5_config`, and the SentencePiece model, if there is one, in the int32 tensor
// `tokenizer.model`, four bytes an element, `tokenizer_bytes` of them, (c) a checkpoint of T5X, which is only
// read. Whoever opens a model owns what comes back.
#pragma once

#include <memory>
#include <string>

#include "models/t5/t5_config.h"
#include "runtime/tensor_source.h"

namespace trimtab {

struct T5Files {
  T5Config config;
  // Exactly the tensors of t5_weights(config), with their shapes, float32 or bfloat16.
  std::unique_ptr<TensorSource> weights;
  // The SentencePiece model beside the weights; empty when there is none, or when it lies in the same file.
  std::string tokenizer_path;
  // Its bytes, wherever they were; empty when there is none.
  std::string tokenizer_model;
};

inline constexpr const char* kT5ConfigAttribute = "t5_config";

// Opens (a) or (c) a folder or (b) a file. Nothing but headers is read, except to find whether lm_head.weight
// and the aliases encoder.embed_tokens and decoder.embed_tokens equal shared.weight. Throws ConfigError for
// what is no T5 that we run, Error that lists missing, unexpected and misshapen tensors by name, and what the
// readers of the formats throw.
T5Files open_t5(const std::string& path);

// Writes (b). `type` is float32 or bfloat16; `weights` must hold t5_weights(config). The file is there in
// full or not at all; at most some megabytes are in memory at a time.
void save_t5(const T5Config& config, const TensorSource& weights, const std::string& tokenizer_model,
             const std::string& path, DType type);

// Writes (b) from (a), or (b) in another type from (b).
void import_t5(const std::string& source, const std::string& out, DType type);

// Writes (a): config.json, model.safetensors and, if known, spiece.model. `folder` is made if need be; a
// model that is there already is replaced file by file, config.json last.
void export_t5_hf(const T5Files& files, const std::string& folder);

}  // namespace trimtab
