// SPDX-License-Identifier: Apache-2.0
//
// LlamaConfig as JSON: as Hugging Face's config.json of the model types of the family, in the form of old and
// new versions of transformers, and as the attribute of our own files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/llama/llama_config.h"
#include "runtime/dtype.h"

namespace trimtab {

// In all functions `where` begins each message: the file, or the file and the attribute.

// Our own form. Reading is strict: unknown and missing fields throw Error, malformed and senseless ones
// ConfigError.
std::string llama_config_to_json(const LlamaConfig& config);
LlamaConfig llama_config_from_json(std::string_view text, const std::string& where);

// "llama", "mistral", "qwen2", "qwen3".
const std::vector<std::string>& llama_model_types();

// Reads a config.json; throws ConfigError for what is no model of the family that we can run, and names the
// field. Where a config lists several ends of sequence the first one is taken.
LlamaConfig llama_config_from_hf(std::string_view text, const std::string& where);

// A config.json for weights of `type` that transformers 4.x and 5 read as the same model. ConfigError for
// what no model type has.
std::string llama_config_to_hf(const LlamaConfig& config, DType type);

}  // namespace trimtab
