// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_model.h"

#include <utility>

#include "models/t5/t5_cost.h"
#include "models/t5/t5_files.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class T5Model final : public BaseModel {
 public:
  explicit T5Model(T5Files files)
      : files_(std::move(files)), tokenizer_{files_.tokenizer_path, files_.tokenizer_model} {}

  TextForm text_form() const override { return TextForm::kEncoderDecoder; }
  AttentionShape attention_shape() const override {
    const T5Config& c = config();
    return {c.d_model, c.heads, c.heads, c.d_kv, c.encoder_layers, c.decoder_layers};
  }
  std::int64_t parameter_count() const override { return trimtab::parameter_count(config()); }
  std::int64_t vocabulary() const override { return config().vocab; }
  std::string embedding_name() const override { return "shared.weight"; }
  double usual_dropout() const override { return 0.1; }
  std::string summary() const override;
  const TensorSource& weights() const override { return *files_.weights; }
  const TokenizerFile& tokenizer() const override { return tokenizer_; }

  std::vector<CostUnit> cost_units(const RowLengths& lengths) const override {
    return t5_cost_units(config(), lengths);
  }
  std::uint64_t planned_bytes(const UnitRange& units, const MemoryPlan& plan) const override {
    return trimtab::planned_bytes(config(), t5_stage_range(config(), units), plan);
  }
  std::unique_ptr<ModelStage> make_stage(World& world, const StageOptions& options) const override {
    T5Config config = files_.config;
    if (options.eos_id >= 0) config.eos_id = options.eos_id;
    return make_t5_stage(config, weights(), world,
                         {t5_stage_range(config, options.units), options.compute, options.device});
  }
  void save(const std::string& path, DType type) const override {
    save_t5(config(), weights(), files_.tokenizer_model, path, type);
  }
  void wrap_weights(const WeightWrapper& wrap) override { files_.weights = wrap(std::move(files_.weights)); }
  void export_hf(const std::string& folder) const override { export_t5_hf(files_, folder); }

 private:
  const T5Config& config() const { return files_.config; }

  T5Files files_;
  TokenizerFile tokenizer_;
};

std::string T5Model::summary() const {
  const T5Config& c = config();
  return fmt::format(
      "T5 model: {} parameters\n"
      "  vocabulary {}  d_model {}  d_kv {}  d_ff {}  heads {}  layers {} + {}\n"
      "  {}, {} head, {}",
      parameter_count(), c.vocab, c.d_model, c.d_kv, c.d_ff, c.heads, c.encoder_layers, c.decoder_layers,
      c.gated_gelu ? "gated GELU" : "ReLU", c.tied_head ? "tied" : "untied",
      tokenizer_.bytes.empty() ? "no vocabulary" : "vocabulary inside or beside");
}

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

}  // namespace

std::uint64_t planned_bytes(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan) {
  const std::int64_t encoder_layers = range.encoder_end - range.encoder_begin;
  const std::int64_t decoder_layers = range.decoder_end - range.decoder_begin;
  const std::int64_t inner = config.inner() / plan.tensor, d_ff = config.d_ff / plan.tensor;
  std::int64_t bytes = weight_bytes(stage_weights(config, range) / plan.tensor, plan);
  // Kept for backward a layer: two norm inputs; queries, keys, values and output; two halves of the
  // feed-forward block and their product.
  const std::int64_t layer = 2 * config.d_model + 4 * inner + (config.gated_gelu ? 3 : 2) * d_ff;
  bytes += plan.tokens * layer * encoder_layers * plan.element_bytes;
  // The decoder has a second attention, whose keys and values cover the encoder's positions.
  bytes += plan.target_tokens * (layer + 4 * inner) * decoder_layers * plan.element_bytes;
  bytes += plan.tokens * 2 * inner * decoder_layers * plan.element_bytes;
  if (decoder_layers > 0 && range.decoder_end == config.decoder_layers)
    bytes += logit_bytes(config.vocab, plan);
  return static_cast<std::uint64_t>(bytes);
}

ModelFamily t5_family() {
  return {{"t5"}, kT5ConfigAttribute, [](const std::string& path) -> std::unique_ptr<BaseModel> {
            return std::make_unique<T5Model>(open_t5(path));
          }};
}

}  // namespace trimtab
