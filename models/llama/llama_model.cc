// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_model.h"

#include <fmt/format.h>

#include <utility>

#include "models/llama/llama_config_json.h"
#include "models/llama/llama_cost.h"
#include "models/llama/llama_memory.h"
#include "models/llama/llama_stage.h"

namespace trimtab {
namespace {

class LlamaModel final : public BaseModel {
 public:
  explicit LlamaModel(LlamaFiles files) : files_(std::move(files)) {}

  TextForm text_form() const override { return TextForm::kDecoderOnly; }
  AttentionShape attention_shape() const override {
    const LlamaConfig& c = config();
    return {c.d_model,           c.heads, c.kv_heads, c.head_dim, 0, c.layers, rotary_frequencies(c),
            c.rotary_interleaved};
  }
  std::int64_t parameter_count() const override { return trimtab::parameter_count(config()); }
  std::int64_t vocabulary() const override { return config().vocab; }
  std::int64_t max_positions() const override { return config().max_positions; }
  std::string embedding_name() const override { return "model.embed_tokens.weight"; }
  std::string summary() const override;
  const TensorSource& weights() const override { return *files_.weights; }
  const TokenizerFile& tokenizer() const override { return files_.tokenizer; }

  std::vector<CostUnit> cost_units(const RowLengths& lengths) const override {
    return llama_cost_units(config(), lengths);
  }
  StageBytes planned_bytes(const UnitRange& units, const MemoryPlan& plan) const override {
    return trimtab::planned_bytes(config(), units, plan);
  }
  std::unique_ptr<ModelStage> make_stage(World& world, const StageOptions& options) const override {
    LlamaConfig config = files_.config;
    if (options.eos_id >= 0) config.eos_id = options.eos_id;
    return make_llama_stage(
        config, weights(), world,
        {options.units.begin, options.units.end, options.compute, options.device, options.sequence_parallel});
  }
  void save(const std::string& path, DType type) const override { save_llama(files_, path, type); }
  void wrap_weights(const WeightWrapper& wrap) override { files_.weights = wrap(std::move(files_.weights)); }
  void export_hf(const std::string& folder) const override { export_llama_hf(files_, folder); }

 private:
  const LlamaConfig& config() const { return files_.config; }

  LlamaFiles files_;
};

std::string LlamaModel::summary() const {
  const LlamaConfig& c = config();
  return fmt::format(
      "Llama model: {} parameters\n"
      "  vocabulary {}  d_model {}  head_dim {}  d_ff {}  heads {}, {} of keys and values  layers {}\n"
      "  {} positions, rotary base {}, scaling {}{}{}, {} head, {}",
      parameter_count(), c.vocab, c.d_model, c.head_dim, c.d_ff, c.heads, c.kv_heads, c.layers,
      c.max_positions, c.rotary_base, c.rotary_scaling.kind, c.qkv_bias ? ", biases" : "",
      c.qk_norm ? ", norms of heads" : "", c.tied_head ? "tied" : "untied",
      files_.tokenizer.bytes.empty() && files_.tokenizer.path.empty() ? "no vocabulary"
                                                                      : "vocabulary inside or beside");
}

}  // namespace

std::unique_ptr<BaseModel> make_llama_model(LlamaFiles files) {
  return std::make_unique<LlamaModel>(std::move(files));
}

ModelFamily llama_family() {
  return {llama_model_types(), kLlamaConfigAttribute,
          [](const std::string& path) { return make_llama_model(open_llama(path)); }};
}

}  // namespace trimtab
