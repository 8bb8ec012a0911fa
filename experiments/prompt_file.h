// SPDX-License-Identifier: Apache-2.0
//
// Prompts outside of checkpoints: NumPy arrays, as the reference implementation keeps them, and PEFT's
// safetensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tensor_source.h"

namespace trimtab {

// A trained matrix [positions, width].
struct PromptMatrix {
  std::string name;
  Shape shape;
  std::vector<float> values;
  std::string origin;  // what is known of its run, for people; may be empty
};

// Whether an .h5 is a checkpoint of a run (and not a model).
bool is_checkpoint(const std::string& path);

// All trained matrices of a checkpoint, or the prompt of a .npy or a PEFT adapter. Throws Error when there is
// none.
std::vector<PromptMatrix> read_prompts(const std::string& path);

// By the ending: .safetensors in PEFT's form (`prompt_embeddings`), otherwise .npy.
void write_prompt(const PromptMatrix& prompt, const std::string& path);

// The vocabulary's pieces whose embeddings have the largest cosine with a row.
struct Neighbour {
  std::int64_t id = 0;
  double cosine = 0.0;
};
// For each row, best first. `table` holds the embeddings [pieces, width], row-major.
std::vector<std::vector<Neighbour>> nearest_rows(const PromptMatrix& prompt, const std::vector<float>& table,
                                                 std::size_t count);

}  // namespace trimtab
