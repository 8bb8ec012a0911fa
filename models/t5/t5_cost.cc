// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_cost.h"

#include <algorithm>
#include <cmath>

#include "models/ops/cross_attention.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// A multiply-add is two operations; a frozen matrix is multiplied with once forward and once for the gradient
// of its input.
constexpr double kMatrix = 2 * 2;
// Scores and mixing are two products of activations forward and five backward (the scores once more, then the
// gradients of values, weights, queries and keys).
constexpr double kProductsBoth = 2 * 7;

double feed_forward(const T5Config& c, double tokens) {
  return kMatrix * tokens * static_cast<double>((c.gated_gelu ? 3 : 2) * c.d_model * c.d_ff);
}

double self_attention(const T5Config& c, double tokens, bool causal) {
  const auto inner = static_cast<double>(c.inner());
  return kMatrix * tokens * 4 * static_cast<double>(c.d_model) * inner +
         kProductsBoth * tokens * tokens * inner * (causal ? 0.5 : 1.0);
}

double cross_attention_cost(const T5Config& c, const RowLengths& lengths) {
  const double asking = lengths.target + lengths.before_target;
  const RowLayout decoder({std::max<std::int64_t>(1, std::llround(asking))});
  const RowLayout encoder({std::max<std::int64_t>(1, std::llround(lengths.input))});
  const double pairs = std::min(detail::projected_cost(decoder, encoder, c.inner(), c.d_model),
                                detail::absorbed_cost(decoder, encoder, c.inner(), c.d_model, c.heads));
  const double queries_and_output = asking * 2 * static_cast<double>(c.d_model * c.inner());
  // Backward goes through the same products to both of their inputs, where one is a weight to one: 2 to 3
  // times.
  return kMatrix * queries_and_output + 2 * 3 * pairs;
}

}  // namespace

std::vector<CostUnit> t5_cost_units(const T5Config& config, const RowLengths& lengths) {
  if (!(lengths.input >= 1) || !(lengths.target >= 1))
    fail_config("mean lengths of {} input and {} target tokens: both must be at least 1", lengths.input,
                lengths.target);
  std::vector<CostUnit> units;
  for (std::int64_t i = 0; i < config.encoder_layers; ++i)
    units.push_back({fmt::format("encoder {}", i),
                     self_attention(config, lengths.input, false) + feed_forward(config, lengths.input)});
  const double decoded = lengths.target + lengths.before_target;
  for (std::int64_t i = 0; i < config.decoder_layers; ++i)
    units.push_back({fmt::format("decoder {}", i), self_attention(config, decoded, true) +
                                                       cross_attention_cost(config, lengths) +
                                                       feed_forward(config, decoded)});
  // Looking up a row is one operation for each of its numbers.
  const auto width = static_cast<double>(config.d_model);
  units.front().cost += lengths.input * width;
  units[static_cast<std::size_t>(config.encoder_layers)].cost += lengths.target * width;
  units.back().cost += kMatrix * lengths.target * width * static_cast<double>(config.vocab);
  return units;
}

T5StageRange t5_stage_range(const T5Config& config, const UnitRange& units) {
  const std::int64_t layers = config.encoder_layers + config.decoder_layers;
  TT_CHECK(units.begin >= 0 && units.begin <= units.end && units.end <= layers,
           "layers {} to {} of a model of {}", units.begin, units.end, layers);
  const auto in_encoder = [&](std::int64_t unit) { return std::min(unit, config.encoder_layers); };
  const auto in_decoder = [&](std::int64_t unit) {
    return std::max<std::int64_t>(0, unit - config.encoder_layers);
  };
  return {in_encoder(units.begin), in_encoder(units.end), in_decoder(units.begin), in_decoder(units.end)};
}

}  // namespace trimtab
