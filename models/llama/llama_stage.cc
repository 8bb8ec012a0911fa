// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_stage.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <optional>

#include "models/llama/llama_decoding.h"
#include "models/llama/llama_layers.h"
#include "models/llama/llama_rows.h"
#include "models/ops/dropout.h"
#include "models/ops/rms_norm.h"
#include "models/prefix_rows.h"
#include "models/token_embedding.h"
#include "parallel/upload.h"
#include "parallel/vocab.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";

// Where dropout is used: once for the embedding, twice a layer.
enum : std::uint32_t { kEmbeddingSite, kAttentionSite, kFeedForwardSite, kSitesOfALayer = 2 };

class LlamaStage final : public ModelStage {
 public:
  LlamaStage(const LlamaConfig& config, const TensorSource& weights, World& world,
             const LlamaStageOptions& options);

  std::int64_t width() const override { return config_.d_model; }
  std::int64_t vocabulary() const override { return config_.vocab; }
  std::int64_t pad_id() const override { return config_.pad_id; }
  std::int64_t eos_id() const override { return config_.eos_id; }
  std::int64_t parameter_count() const override { return trimtab::parameter_count(config_); }

  StageIO forward(StageIO in, const MicroBatch& batch, const ForwardContext& context) override;
  at::Tensor logits(const StageIO& out) override { return head(out.decoder); }
  LossSums loss(const StageIO& out, const MicroBatch& batch, double z_loss) override;
  StageShape receive_shape(const MicroBatch& batch) const override;
  bool embeds_input() const override { return options_.begin == 0; }
  bool decodes() const override { return true; }
  StageShape prefill_shape(const MicroBatch& batch) const override;
  Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) override;
  at::Tensor embeddings(const std::vector<std::int64_t>& ids) const override {
    return embedding_.values(ids);
  }
  void attach_input(InputAdapter* adapter) override { adapter_ = adapter; }
  std::vector<LinearSite> linear_sites() override;
  std::vector<KeyValueSite> key_value_sites() override;
  std::vector<std::string> linear_modules() const override { return llama_linear_modules(config_); }
  std::vector<std::string> attention_modules() const override { return llama_attention_modules(config_); }
  Communicator& tensor_ranks() override { return tensor_; }
  at::Device device() const override { return loader_.device(); }
  Parameters trainable_base() override { return loader_.make_trainable(); }
  std::vector<NamedTensor> base_weights() const override { return loader_.weights(); }

 private:
  bool ends() const { return options_.end == config_.layers; }
  bool is_last_layer(std::size_t i) const {
    return options_.begin + static_cast<std::int64_t>(i) + 1 == config_.layers;
  }
  at::Tensor embed_rows(const JointRows& rows, const MicroBatch& batch, const TokenSplit& tokens) const;
  at::Tensor attend(const LlamaAttention& attention, const at::Tensor& columns, const RowLayout& layout,
                    const std::vector<std::int32_t>& lanes);
  at::Tensor head(const at::Tensor& x_td) const;
  StageShape shape_of(std::int64_t tokens) const;
  TokenSplit split(const RowLayout& layout) const { return {layout, tensor_, options_.sequence_parallel}; }

  LlamaConfig config_;
  LlamaStageOptions options_;
  Communicator& tensor_;
  WeightLoader loader_;
  RotaryTable rotary_;
  TokenEmbedding embedding_;
  at::Tensor norm_;
  std::optional<ColumnParallelLinear> head_;  // last stage only
  std::vector<LlamaLayer> layers_;
  InputAdapter* adapter_ = nullptr;
};

LlamaStage::LlamaStage(const LlamaConfig& config, const TensorSource& weights, World& world,
                       const LlamaStageOptions& options)
    : config_(config),
      options_(options),
      tensor_(world.along(Axis::kTensor)),
      loader_(weights, tensor_, options.compute, options.device),
      rotary_(rotary_frequencies(config), config.rotary_interleaved) {
  TT_CHECK(0 <= options.begin && options.begin < options.end && options.end <= config.layers,
           "layers {} to {} of a model of {}", options.begin, options.end, config.layers);
  if (embeds_input() || (ends() && config.tied_head))
    embedding_ = {loader_.row_shares({{kEmbedding}}), config.vocab, tensor_};
  for (std::int64_t i = options.begin; i < options.end; ++i)
    layers_.push_back(load_llama_layer(i, config, loader_, tensor_));
  if (!ends()) return;
  norm_ = loader_.whole("model.norm.weight", DType::kFloat32);
  head_.emplace(config.tied_head ? embedding_.table() : loader_.row_shares({{"lm_head.weight"}}), tensor_);
}

at::Tensor LlamaStage::embed_rows(const JointRows& rows, const MicroBatch& batch,
                                  const TokenSplit& tokens) const {
  return embedding_.with_prompts({rows.ids, rows.text, batch.lanes, batch.encoder.lengths()}, adapter_,
                                 tokens);
}

// Rows of `columns` (LlamaAttention::project) behind the layer's prefix.
at::Tensor LlamaStage::attend(const LlamaAttention& attention, const at::Tensor& columns,
                              const RowLayout& layout, const std::vector<std::int32_t>& lanes) {
  if (!attention.prefix)
    return causal_attention(columns, attention.heads, rotary_.up_to(layout.longest()), layout);
  const RowLayout seen = with_prefix(layout, lanes, attention.prefix);
  return last_positions(causal_attention(put_prefix(columns, layout, lanes, *attention.prefix),
                                         attention.heads, rotary_.up_to(seen.longest()), seen),
                        layout, seen);
}

StageIO LlamaStage::forward(StageIO io, const MicroBatch& batch, const ForwardContext& context) {
  const auto mask = [&](std::uint32_t site) {
    return context.training ? dropout_mask(batch.samples, config_.d_model, context.dropout, context.seed,
                                           context.step, site)
                            : at::Tensor();
  };
  const JointRows rows = joint_rows(batch, adapter_);
  TokenSplit tokens = split(rows.layout);  // of what is left behind the last attention, from there on
  const AdapterPass pass{tokens.layout(), batch.samples, context.training, context.seed, context.step};
  at::Tensor& x = io.decoder;
  if (embeds_input()) x = dropout_rows(embed_rows(rows, batch, tokens), mask(kEmbeddingSite), tokens.own());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LlamaLayer& layer = layers_[i];
    const std::int64_t number = options_.begin + static_cast<std::int64_t>(i);
    const auto site = static_cast<std::uint32_t>(number) * kSitesOfALayer;
    at::Tensor mixed =
        attend(layer.attention, layer.attention.project(x, tokens, &pass), tokens.layout(), batch.lanes);
    if (is_last_layer(i)) {
      const at::Tensor scored = scored_positions(rows, batch.decoder);
      const TokenSplit left = split(batch.decoder);
      mixed = mixed.index_select(0, upload(scored, mixed.device()));
      x = tokens.select(x, scored, left);
      tokens = left;
    }
    x = add_dropout(x, tokens.leave(layer.attention.o.part_of(mixed, &pass)), mask(site + kAttentionSite),
                    tokens.own());
    x = add_dropout(x, layer.feed_forward(x, tokens, &pass), mask(site + kFeedForwardSite), tokens.own());
    if (context.observe) context.observe(fmt::format("layer.{}", number), tokens.all_of(x), tokens.layout());
  }
  if (!ends()) return io;
  x = rms_norm(x, tokens.weight(norm_), config_.norm_epsilon);
  if (context.observe) context.observe("final", tokens.all_of(x), tokens.layout());
  x = tokens.enter(x);  // for the head
  return io;
}

// Logits of this rank's share of the vocabulary, float32 [t, its rows], of states that have entered the
// tensor region.
at::Tensor LlamaStage::head(const at::Tensor& x_td) const { return head_->of_entered(x_td).to(at::kFloat); }

LossSums LlamaStage::loss(const StageIO& out, const MicroBatch& batch, double z_loss) {
  return {vocab_parallel_cross_entropy(head(out.decoder), batch.targets, z_loss, config_.vocab, tensor_),
          batch.decoder.tokens()};
}

StageShape LlamaStage::shape_of(std::int64_t tokens) const {
  const at::Tensor& any = layers_.front().attention.qkv.weight();
  StageShape shape;
  if (!embeds_input()) shape.decoder_tokens = tokens;
  shape.width = config_.d_model;
  shape.options = any.options().requires_grad(false);
  if (any.is_cpu()) shape.options = shape.options.dtype(at::kFloat);
  return shape;
}

StageShape LlamaStage::receive_shape(const MicroBatch& batch) const {
  return shape_of(split(joint_rows(batch, adapter_).layout).share().count);
}

StageShape LlamaStage::prefill_shape(const MicroBatch& batch) const {
  return shape_of(prefix_rows(batch, adapter_).layout.tokens());
}

Prefill LlamaStage::prefill(StageIO io, const MicroBatch& batch, std::int64_t max_tokens) {
  const c10::NoGradGuard no_grad;
  const JointRows rows = prefix_rows(batch, adapter_);
  at::Tensor& x = io.decoder;
  if (embeds_input()) x = embed_rows(rows, batch, TokenSplit(rows.layout, tensor_, /*split=*/false));
  LlamaDecoding model{layers_, rotary_, config_.vocab, tensor_, {}, {}, {}};
  std::vector<KvCache> caches;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LlamaAttention& attention = layers_[i].attention;
    const RowLayout seen = with_prefix(rows.layout, batch.lanes, attention.prefix);
    const RotaryAngles angles = rotary_.up_to(seen.longest());
    at::Tensor columns = attention.project(x);
    if (attention.prefix) columns = put_prefix(columns, rows.layout, batch.lanes, *attention.prefix);
    const std::int64_t kv_inner = attention.heads.keys * config_.head_dim;
    KvCache& cache = caches.emplace_back(batch.rows(), seen.longest() + max_tokens, kv_inner, x.options());
    fill_cache(cache, columns, attention.heads, angles, seen);
    // Nothing is read of what the last layer makes of these tokens.
    if (is_last_layer(i)) break;
    at::Tensor mixed = causal_attention(columns, attention.heads, angles, seen);
    if (attention.prefix) mixed = last_positions(mixed, rows.layout, seen);
    x = x + attention.o(mixed);
    x = x + layers_[i].feed_forward(x);
  }
  if (embeds_input()) {
    model.first_ids = last_input_ids(batch);
    model.embed = [this](const at::Tensor& ids) { return embedding_(ids); };
  }
  if (ends())
    model.logits = [this](const at::Tensor& last_td) {
      return head(rms_norm(last_td, norm_, config_.norm_epsilon));
    };
  return {std::move(io), make_llama_decoder(std::move(model), std::move(caches))};
}

std::vector<LinearSite> LlamaStage::linear_sites() {
  std::vector<LinearSite> sites;
  const auto add = [&](auto&... maps) { (sites.push_back(loader_.site(maps)), ...); };
  for (LlamaLayer& layer : layers_)
    add(layer.attention.qkv, layer.attention.o, layer.feed_forward.gate_up, layer.feed_forward.down);
  if (head_ && !config_.tied_head) add(*head_);
  return sites;
}

std::vector<KeyValueSite> LlamaStage::key_value_sites() {
  std::vector<KeyValueSite> sites;
  for (LlamaLayer& layer : layers_)
    sites.push_back(loader_.key_value_site(layer.attention.qkv, layer.attention.prefix));
  return sites;
}

}  // namespace

std::unique_ptr<ModelStage> make_llama_stage(const LlamaConfig& config, const TensorSource& weights,
                                             World& world, const LlamaStageOptions& options) {
  check(config);
  return std::make_unique<LlamaStage>(config, weights, world, options);
}

}  // namespace trimtab
