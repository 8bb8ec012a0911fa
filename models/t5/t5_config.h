// SPDX-License-Identifier: Apache-2.0
//
// The numbers that make a T5: 1.0 (ReLU, tied head) and 1.1 (gated GELU, untied head), any sizes between.
#pragma once

#include <cstdint>
#include <string>

#include "models/formats/weight_files.h"

namespace trimtab {

struct T5Config {
  std::int64_t vocab = 32128;  // rows of the embedding table, sentinels and padding rows included
  std::int64_t d_model = 512;  // width of the residual stream
  std::int64_t d_kv = 64;      // width of one head; heads * d_kv need not equal d_model
  std::int64_t d_ff = 1024;    // inner width of the feed-forward block
  std::int64_t heads = 6;
  std::int64_t encoder_layers = 8;
  std::int64_t decoder_layers = 8;
  std::int64_t buckets = 32;        // relative-position buckets
  std::int64_t max_distance = 128;  // distance from which all positions share the last bucket
  double norm_epsilon = 1e-6;
  double dropout = 0.1;
  bool gated_gelu = true;             // 1.1: gelu_new(x wi_0) * (x wi_1); 1.0: relu(x wi)
  bool tied_head = false;             // the output head is the embedding table
  bool scale_decoder_output = false;  // multiply decoder states by d_model^-0.5 before the head (1.0)
  std::int64_t pad_id = 0;            // also the first decoder input
  std::int64_t eos_id = 1;

  std::int64_t inner() const { return heads * d_kv; }
  bool operator==(const T5Config&) const = default;
};

// "small", "base", "large", "xl", "xxl": T5 1.1 (paper_facts: Lester et al. 2021, section 3). ConfigError
// otherwise.
T5Config t5_preset(const std::string& name);

// The heads, inner columns and vocabulary rows that the k-th of m tensor ranks holds of each layer. Throws
// ConfigError if there are more ranks than heads.
T5Config rank_share(const T5Config& config, int k, int m);

// Throws ConfigError that names the offending field when a number makes no sense.
void check(const T5Config& config);

// Number of parameters of the whole model, the same as the sum over t5_weights().
std::int64_t parameter_count(const T5Config& config);

// All weights in a fixed order, by their Hugging Face names, which are the logical names in every file of
// ours: shared.weight, encoder blocks, encoder norm, decoder blocks, decoder norm,
// lm_head.weight (only when untied).
WeightShapes t5_weights(const T5Config& config);

}  // namespace trimtab
