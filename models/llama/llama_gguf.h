// SPDX-License-Identifier: Apache-2.0
//
// Models of the Llama kind in GGUF files: their config, and weights under their Hugging Face names with rows
// in Hugging Face's order. The format itself is models/formats/gguf.h.
#pragma once

#include <memory>

#include "models/formats/gguf.h"
#include "models/llama/llama_config.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// Throws ConfigError for an architecture or a variant that we do not run (mixture of experts, partial rotary
// positions, other scalings of them than linear and Llama 3's, scaled attention or logits),
// Error for metadata that is missing, of the wrong type or contradicts the tensors. Whether the numbers make
// sense together is not looked at: check().
LlamaConfig read_llama_gguf_config(const Gguf& file);

// The weights as model.layers.0.self_attn.q_proj.weight and so on. The file of a "llama" holds the rows of
// each query and key head in the order of interleaved rotary pairs (0, h, 1, h + 1, ..., with h half of the
// head); they are given back in that of Hugging Face (0, 1, ...), which rotates halves. Throws what
// read_llama_gguf_config throws, and Error that names a tensor that no such model has.
std::unique_ptr<TensorSource> llama_gguf_weights(std::unique_ptr<Gguf> file);

}  // namespace trimtab
