// SPDX-License-Identifier: Apache-2.0
//
// The model that a GGUF file holds: a config and the weights that fit it, in our names.
#pragma once

#include <memory>
#include <string>

#include "models/llama/llama_config.h"
#include "runtime/tensor_source.h"

namespace trimtab {

struct LlamaOfGguf {
  LlamaConfig config;
  std::unique_ptr<TensorSource> weights;
};

// Throws what llama_gguf.h throws, ConfigError that names the file for numbers that make no sense, Error that
// lists the tensors that are missing, surplus or of another shape.
LlamaOfGguf open_llama_gguf(const std::string& path);

}  // namespace trimtab
