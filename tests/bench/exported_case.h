// SPDX-License-Identifier: Apache-2.0
//
// What peft_baseline.py --export wrote: the weights of a T5, an initial prompt, and the token ids of some
// batches, so that two programs can be timed on the same work and their losses compared.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "data/batch.h"
#include "models/t5/t5_config.h"
#include "runtime/tensor_source.h"

namespace trimtab::bench {

// The config that the shapes of the weights imply; what shapes do not say is as in T5 1.1. Throws Error when
// the weights are no T5's.
T5Config config_of(const TensorSource& weights);

// `prompt` of a safetensors file, float32 [rows, width]. Throws Error when it is not there or not as wide.
at::Tensor read_prompt(const std::string& path, std::int64_t width);

// batches.json: [[{"input": [ids], "target": [ids]}, ...], ...]. Throws Error that names the file when it is
// something else.
std::vector<Batch> read_batches(const std::string& path);

// The batch with the longest input (of equal ones: the longest target, then the first), as peft_baseline.py
// picks the one to warm up on.
std::size_t widest(const std::vector<Batch>& batches);

// `rows` rows at a time, in order: what peft_baseline.py does. 0: all at once.
std::vector<Batch> cut_by_rows(const Batch& batch, std::size_t rows);

// Floating-point operations, in units of 1e9, of forward and backward over the real positions, `extra` of
// them in front of each input. The backward of a frozen linear layer costs one more multiplication, that of a
// trained one two more, that of attention twice its forward: the same count as in peft_baseline.py, whatever
// is really computed.
double useful_gflop(const T5Config& config, const Batch& batch, std::int64_t extra, bool base_is_trained);

}  // namespace trimtab::bench
