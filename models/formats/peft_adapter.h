// SPDX-License-Identifier: Apache-2.0
//
// What the Python library PEFT keeps of a tuned model: a folder with adapter_config.json, which names the
// method, its options and the base model, and adapter_model.safetensors. docs/interchange.md says what is in
// them. Both are small, so they are read whole.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tensor_source.h"

namespace trimtab {

struct NamedArray {
  std::string name;
  Shape shape;
  std::vector<float> values;  // row-major
};
using NamedArrays = std::vector<NamedArray>;

struct PeftAdapter {
  std::string path;                             // for messages
  nlohmann::ordered_json config;                // of adapter_config.json
  NamedArrays tensors;                          // sorted by name
  std::map<std::string, std::string> metadata;  // of the safetensors file
};

// Whether a path is such a folder, or the safetensors file in one.
bool is_peft_adapter(const std::string& path);

// Throws Error that says what is missing or malformed; the values are checked by who uses them.
PeftAdapter read_peft_adapter(const std::string& path);

// Makes the folder if need be; the config, without which PEFT reads nothing, is written last.
void write_peft_adapter(const PeftAdapter& adapter, const std::string& folder);

// A prompt [positions, width] of a file: a .npy, an adapter of PEFT's, or a checkpoint of ours. PEFT stores
// twice as many rows for an encoder-decoder, unless told not to, and uses the first half: so does this.
// Throws ConfigError for an adapter that is no prompt.
NamedArray read_prompt_rows(const std::string& path);
// What stands in front of the decoder's input; nothing but a checkpoint of ours has such rows, and few do.
std::optional<NamedArray> read_decoder_prompt_rows(const std::string& path);

}  // namespace trimtab
