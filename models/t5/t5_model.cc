// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_model.h"

#include <utility>

#include "models/t5/t5_cost.h"
#include "models/t5/t5_memory.h"
#include "models/t5/t5_stage.h"
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
  StageBytes planned_bytes(const UnitRange& units, const MemoryPlan& plan) const override {
    return trimtab::planned_bytes(config(), t5_stage_range(config(), units), plan);
  }
  std::unique_ptr<ModelStage> make_stage(World& world, const StageOptions& options) const override {
    T5Config config = files_.config;
    if (options.eos_id >= 0) config.eos_id = options.eos_id;
    return make_t5_stage(
        config, weights(), world,
        {t5_stage_range(config, options.units), options.compute, options.device, options.sequence_parallel});
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

}  // namespace

std::unique_ptr<BaseModel> make_t5_model(T5Files files) {
  return std::make_unique<T5Model>(std::move(files));
}

ModelFamily t5_family() {
  return {{"t5"}, kT5ConfigAttribute, [](const std::string& path) { return make_t5_model(open_t5(path)); }};
}

}  // namespace trimtab
