// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_of_gguf.h"

#include <utility>

#include "models/formats/json_fields.h"
#include "models/formats/weight_files.h"
#include "models/llama/llama_gguf.h"

namespace trimtab {

LlamaOfGguf open_llama_gguf(const std::string& path) {
  auto file = std::make_unique<Gguf>(path);
  const LlamaConfig config = read_llama_gguf_config(*file);
  check_with_place(config, path);
  auto source = llama_gguf_weights(std::move(file));
  const WeightShapes weights = llama_weights(config);
  check_weights(*source, weights, {}, {}, "Llama");
  return {config, weight_view(std::move(source), weights, {})};
}

}  // namespace trimtab
