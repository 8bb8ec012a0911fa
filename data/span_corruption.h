// SPDX-License-Identifier: Apache-2.0
//
// T5's two self-supervised objectives on a chunk of ids: span corruption and prefix language modelling. Rules
// and names as in t5/data/preprocessors.py; random choices come from counter-based streams, hence are
// repeatable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizers/t5_tokenizer.h"
#include "runtime/random.h"

namespace trimtab {

struct Denoising {
  std::vector<TokenId> inputs;   // with eos
  std::vector<TokenId> targets;  // with eos
};

struct ChunkLengths {
  int tokens;   // of raw text in a chunk
  int targets;  // that it then has, with sentinels and eos
};

// The longest chunk whose corrupted input, with sentinels and eos, is not longer than `inputs_length`
// (random_spans_helper): 512 with density 0.15 and mean span 3 gives 568 and 114. Throws ConfigError unless
// inputs_length >= 2, 0 < noise_density < 1 and mean_span >= 1.
ChunkLengths random_spans_helper(int inputs_length, double noise_density, double mean_span);

// Which tokens of a chunk are noise (random_spans_noise_mask): round(length x density) tokens in round(that /
// mean_span) spans, both at least 1; noise and the rest are cut into equally many spans of random lengths,
// the rest first. No two spans touch; the last span is noise. `noise` and `rest` must be different streams.
std::vector<bool> random_spans_noise_mask(int length, double noise_density, double mean_span,
                                          const RandomStream& noise, const RandomStream& rest);

// Each noise span is replaced by a sentinel in the inputs, each other span in the targets: <extra_id_0>,
// <extra_id_1>,
// ... from the front; eos at the end of both. Throws ConfigError if there are more spans than sentinels.
Denoising corrupt_spans(std::span<const TokenId> ids, const std::vector<bool>& mask,
                        const T5Tokenizer& tokenizer);

// The first `split` ids are the inputs, the others the targets; eos at the end of both (prefix_lm). 0 < split
// < size.
Denoising split_prefix(std::span<const TokenId> ids, std::size_t split, TokenId eos);

}  // namespace trimtab
