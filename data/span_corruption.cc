// SPDX-License-Identifier: Apache-2.0
#include "data/span_corruption.h"

#include <algorithm>
#include <cmath>

#include "runtime/check.h"

namespace trimtab {
namespace {

void check_noise(double noise_density, double mean_span) {
  if (!(noise_density > 0 && noise_density < 1))
    fail_config("noise_density should lie between 0 and 1, but is {}", noise_density);
  if (!(mean_span >= 1)) fail_config("mean_span should be 1 or more, but is {}", mean_span);
}

// Half to even, as Python's round and TensorFlow's tf.round.
int rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

struct CorruptedLengths {
  int inputs;
  int targets;
};

// Both with one sentinel a span and eos.
CorruptedLengths lengths_of(int tokens, double noise_density, double mean_span) {
  const int noise = rounded(tokens * noise_density);
  const int spans = rounded(noise / mean_span);
  return {tokens - noise + spans + 1, noise + spans + 1};
}

// Lengths of `segments` random non-empty parts of `items`: each way to cut is equally likely.
std::vector<int> random_segmentation(int items, int segments, const RandomStream& stream) {
  std::vector<bool> starts(static_cast<std::size_t>(items), false);
  const auto places = permutation(static_cast<std::uint32_t>(items - 1), stream);
  for (int i = 0; i < segments - 1; ++i) starts[places[static_cast<std::size_t>(i)] + 1] = true;
  std::vector<int> lengths;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (i == 0 || starts[i]) lengths.push_back(0);
    ++lengths.back();
  }
  return lengths;
}

// A run of tokens where `hidden` holds becomes one sentinel; the others stay.
std::vector<TokenId> hide(std::span<const TokenId> ids, const std::vector<bool>& mask, bool hidden,
                          const T5Tokenizer& tokenizer) {
  std::vector<TokenId> out;
  int spans = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (mask[i] != hidden) {
      out.push_back(ids[i]);
    } else if (i == 0 || mask[i - 1] != hidden) {
      if (spans == tokenizer.extra_ids())
        fail_config(
            "{}: a chunk of {} tokens has more spans than the vocabulary has sentinels ({}); shorten the "
            "input "
            "or raise mean_span",
            tokenizer.path(), ids.size(), tokenizer.extra_ids());
      out.push_back(tokenizer.sentinel(spans++));
    }
  }
  out.push_back(tokenizer.eos());
  return out;
}

}  // namespace

ChunkLengths random_spans_helper(int inputs_length, double noise_density, double mean_span) {
  check_noise(noise_density, mean_span);
  if (inputs_length < 2) fail_config("the input length should be 2 or more, but is {}", inputs_length);
  int tokens = inputs_length - 1;
  while (lengths_of(tokens + 1, noise_density, mean_span).inputs <= inputs_length) ++tokens;
  int targets = lengths_of(tokens, noise_density, mean_span).targets;
  // The reference's way to make both lengths equal where half of the text is noise.
  if (noise_density == 0.5 && targets > lengths_of(tokens, noise_density, mean_span).inputs) {
    --tokens;
    --targets;
  }
  return {tokens, targets};
}

std::vector<bool> random_spans_noise_mask(int length, double noise_density, double mean_span,
                                          const RandomStream& noise, const RandomStream& rest) {
  check_noise(noise_density, mean_span);
  TT_CHECK(length >= 1, "a chunk of {} tokens", length);
  const int padded = std::max(length, 2);
  // The reference computes in float32, which matters where the product is close to a half.
  const auto wanted = static_cast<float>(padded) * static_cast<float>(noise_density);
  const int noise_tokens = std::clamp(rounded(wanted), 1, padded - 1);
  const auto parts = static_cast<float>(noise_tokens) / static_cast<float>(mean_span);
  const int rest_tokens = padded - noise_tokens;
  const int spans = std::clamp(rounded(parts), 1, std::min(noise_tokens, rest_tokens));
  const std::vector<int> noise_lengths = random_segmentation(noise_tokens, spans, noise);
  const std::vector<int> rest_lengths = random_segmentation(rest_tokens, spans, rest);
  std::vector<bool> mask;
  for (std::size_t i = 0; i < noise_lengths.size(); ++i) {
    mask.insert(mask.end(), static_cast<std::size_t>(rest_lengths[i]), false);
    mask.insert(mask.end(), static_cast<std::size_t>(noise_lengths[i]), true);
  }
  mask.resize(static_cast<std::size_t>(length));
  return mask;
}

Denoising corrupt_spans(std::span<const TokenId> ids, const std::vector<bool>& mask,
                        const T5Tokenizer& tokenizer) {
  TT_CHECK(ids.size() == mask.size(), "{} ids and a mask of {}", ids.size(), mask.size());
  return {hide(ids, mask, true, tokenizer), hide(ids, mask, false, tokenizer)};
}

Denoising split_prefix(std::span<const TokenId> ids, std::size_t split, TokenId eos) {
  TT_CHECK(split > 0 && split < ids.size(), "split {} of {} ids", split, ids.size());
  Denoising parts;
  parts.inputs.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(split));
  parts.targets.assign(ids.begin() + static_cast<std::ptrdiff_t>(split), ids.end());
  parts.inputs.push_back(eos);
  parts.targets.push_back(eos);
  return parts;
}

}  // namespace trimtab
