// SPDX-License-Identifier: Apache-2.0
//
// Legend: d width of the residual stream, I of a rank's heads, F of its feed-forward columns, H its heads.
#include "models/t5/t5_memory.h"

#include <algorithm>

#include "models/memory_counts.h"

namespace trimtab {
namespace {

// Tables are where their first and last layers are; a tied head that is not beside the embedding is a copy.
std::int64_t stage_weights(const T5Config& config, const T5StageRange& range) {
  T5Config layers = config;
  layers.encoder_layers = range.encoder_end - range.encoder_begin;
  layers.decoder_layers = range.decoder_end - range.decoder_begin;
  const std::int64_t table = config.vocab * config.d_model;
  const std::int64_t without_tables = parameter_count(layers) - table * (config.tied_head ? 1 : 2);
  const bool embeds = (layers.encoder_layers > 0 && range.encoder_begin == 0) ||
                      (layers.decoder_layers > 0 && range.decoder_begin == 0);
  const bool predicts = layers.decoder_layers > 0 && range.decoder_end == config.decoder_layers;
  const bool second_table = predicts && (!config.tied_head || !embeds);
  return without_tables + table * ((embeds ? 1 : 0) + (second_table ? 1 : 0));
}

class T5Memory {
 public:
  T5Memory(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan)
      : plan_(plan),
        encoder_layers_(range.encoder_end - range.encoder_begin),
        decoder_layers_(range.decoder_end - range.decoder_begin),
        vocabulary_(config.vocab),
        ends_encoder_(encoder_layers_ > 0 && range.encoder_end == config.encoder_layers),
        ends_decoder_(decoder_layers_ > 0 && range.decoder_end == config.decoder_layers),
        layer_{config.d_model,
               stream_width(config.d_model, plan),
               config.inner(),
               2 * config.inner(),
               config.d_ff,
               config.heads,
               config.gated_gelu ? 2 : 1} {}

  std::int64_t kept(const PassSize& size) const {
    const std::int64_t d = layer_.width, stream = layer_.stream, inner = layer_.inner;
    std::int64_t numbers = encoder_layers_ * kept_of_layer(layer_, size.rows, size.input, plan_);
    const std::int64_t decoded = size.target + size.before_target;
    numbers += decoder_layers_ * kept_of_layer(layer_, size.rows, decoded, plan_);
    // Cross-attention: its norm's input, queries and output; weights of the targets to the inputs, or where
    // something of them is trained the keys and values themselves.
    const std::int64_t pairs = size.rows > 0 ? decoded * size.input / size.rows : 0;
    numbers += decoder_layers_ * (decoded * (stream + 2 * inner) + pairs * layer_.heads);
    if (projects()) numbers += decoder_layers_ * (size.input * 2 * inner + decoded * d);
    if (plan_.dropout) numbers += decoder_layers_ * (size.rows * d + size.input * layer_.heads);
    // The input of the last norm and the states that all decoder layers read.
    if (ends_encoder_) numbers += size.input * (stream + (decoder_layers_ > 0 ? d : stream));
    if (ends_decoder_) numbers += decoded * stream + size.target * vocabulary_;
    return numbers * plan_.activation_bytes;
  }

  std::int64_t working(const PassSize& size) const {
    const std::int64_t d = layer_.width, inner = layer_.inner;
    const auto of_layer = plan_.backward ? backward_of_layer : forward_of_layer;
    std::int64_t encoder = encoder_layers_ > 0 ? of_layer(layer_, size.input) : 0;
    std::int64_t decoder = 0;
    if (decoder_layers_ > 0) {
      // The gradient of the encoder's states is added up over the layers; without one, they are only there.
      const std::int64_t decoded = size.target + size.before_target;
      decoder = of_layer(layer_, decoded) + size.input * d * (plan_.backward ? 2 : 1);
      // Queries and their mixtures in model space, and their gradients.
      if (projects() || plan_.decoded > 0)
        decoder += size.input * 2 * inner;
      else
        decoder += decoded * layer_.heads * d * (plan_.backward ? 3 : 2);
    }
    if (plan_.decoded > 0 && ends_decoder_) decoder += 2 * size.rows * vocabulary_;
    if (plan_.decoded == 0 && ends_decoder_) decoder += size.target * vocabulary_ * (plan_.backward ? 1 : 2);
    return std::max(encoder, decoder) * plan_.activation_bytes;
  }

  std::int64_t caches() const {
    if (plan_.decoded == 0) return 0;
    const PassSize& size = plan_.at_work;
    return decoder_layers_ * 2 * layer_.inner *
           (size.input + size.before_target + size.rows * plan_.decoded) * plan_.activation_bytes;
  }

 private:
  bool projects() const { return plan_.trains_base || plan_.trains_layers; }

  const MemoryPlan& plan_;
  std::int64_t encoder_layers_, decoder_layers_, vocabulary_;
  bool ends_encoder_, ends_decoder_;
  LayerWidths layer_;
};

}  // namespace

StageBytes planned_bytes(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan) {
  const T5Config own = rank_share(config, 0, static_cast<int>(plan.tensor));  // no rank holds more
  const T5Memory memory(own, range, plan);
  return {weight_bytes(stage_weights(own, range), plan), memory.kept(plan.waiting),
          memory.working(plan.at_work), memory.caches()};
}

}  // namespace trimtab
