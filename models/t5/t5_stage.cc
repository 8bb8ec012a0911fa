// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_stage.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <optional>

#include "models/input_rows.h"
#include "models/ops/dropout.h"
#include "models/ops/rms_norm.h"
#include "models/t5/t5_decoding.h"
#include "models/t5/t5_layers.h"
#include "models/token_embedding.h"
#include "parallel/tensor.h"
#include "parallel/vocab.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr const char* kEncoderBias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
constexpr const char* kDecoderBias = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";

class T5Stage : public ModelStage {
 public:
  T5Stage(const T5Config& config, const TensorSource& weights, World& world, const T5StageOptions& options);

  std::int64_t width() const override { return config_.d_model; }
  std::int64_t vocabulary() const override { return config_.vocab; }
  std::int64_t pad_id() const override { return config_.pad_id; }
  std::int64_t eos_id() const override { return config_.eos_id; }
  std::int64_t parameter_count() const override { return trimtab::parameter_count(config_); }

  StageIO forward(StageIO in, const MicroBatch& batch, const ForwardContext& context) override;
  at::Tensor logits(const StageIO& out) override { return head(out.decoder); }
  LossSums loss(const StageIO& out, const MicroBatch& batch, double z_loss) override;
  StageShape receive_shape(const MicroBatch& batch) const override;
  bool embeds_input() const override { return embeds_encoder(); }
  bool embeds_decoder_input() const override { return embeds_decoder(); }
  bool decodes() const override { return !decoder_.empty(); }
  StageShape prefill_shape(const MicroBatch& batch) const override;
  Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) override;
  at::Tensor embeddings(const std::vector<std::int64_t>& ids) const override {
    return embedding_.values(ids);
  }
  void attach_input(InputAdapter* adapter) override { adapter_ = adapter; }
  bool attach_decoder_input(InputAdapter* adapter) override {
    decoder_adapter_ = adapter;
    return true;
  }
  std::vector<LinearSite> linear_sites() override;
  std::vector<KeyValueSite> key_value_sites() override;
  std::vector<std::string> linear_modules() const override { return t5_linear_modules(config_); }
  std::vector<std::string> attention_modules() const override { return t5_attention_modules(config_); }
  Communicator& tensor_ranks() override { return tensor_; }
  at::Device device() const override { return loader_.device(); }
  Parameters trainable_base() override { return loader_.make_trainable(); }
  std::vector<NamedTensor> base_weights() const override { return loader_.weights(); }

 private:
  bool embeds_encoder() const { return range_.encoder_begin == 0 && range_.encoder_end > 0; }
  bool ends_encoder() const {
    return range_.encoder_begin < range_.encoder_end && range_.encoder_end == config_.encoder_layers;
  }
  bool embeds_decoder() const { return range_.decoder_begin == 0 && range_.decoder_end > 0; }
  bool ends_decoder() const {
    return range_.decoder_begin < range_.decoder_end && range_.decoder_end == config_.decoder_layers;
  }
  RowLayout encoder_layout(const MicroBatch& batch) const {
    return with_prompts(batch.encoder, batch.lanes, adapter_);
  }
  RowLayout decoder_layout(const MicroBatch& batch) const {
    return with_prompts(batch.decoder, batch.lanes, decoder_adapter_);
  }
  // The rows in front of the decoder's input alone: what its layers see before the first decoded token.
  RowLayout decoder_prompts(const MicroBatch& batch) const {
    return with_prompts(no_text(batch), batch.lanes, decoder_adapter_);
  }
  static RowLayout no_text(const MicroBatch& batch) {
    return RowLayout(std::vector<std::int64_t>(batch.lanes.size(), 0));
  }
  at::Tensor head(const at::Tensor& decoder_td) const;
  void run_encoder(StageIO& io, const MicroBatch& batch, const TokenSplit& tokens,
                   const ForwardContext& context, const T5Pass& pass) const;
  void run_decoder(StageIO& io, const MicroBatch& batch, const TokenSplit& encoder_tokens,
                   const ForwardContext& context, const T5Pass& pass) const;
  TokenSplit split(const RowLayout& layout) const { return {layout, tensor_, sequence_parallel_}; }
  StageShape shape_of(const MicroBatch& batch) const;

  T5Config config_;
  T5StageRange range_;
  bool sequence_parallel_;
  Communicator& tensor_;
  WeightLoader loader_;
  TokenEmbedding embedding_;
  at::Tensor encoder_bias_, decoder_bias_, encoder_norm_, decoder_norm_;
  std::optional<ColumnParallelLinear> head_;  // last stage only
  std::vector<T5EncoderLayer> encoder_;
  std::vector<T5DecoderLayer> decoder_;
  InputAdapter* adapter_ = nullptr;
  InputAdapter* decoder_adapter_ = nullptr;
};

T5Stage::T5Stage(const T5Config& config, const TensorSource& weights, World& world,
                 const T5StageOptions& options)
    : config_(config),
      range_(options.range),
      sequence_parallel_(options.sequence_parallel),
      tensor_(world.along(Axis::kTensor)),
      loader_(weights, tensor_, options.compute, options.device) {
  if (embeds_encoder() || embeds_decoder() || (ends_decoder() && config.tied_head))
    embedding_ = {loader_.row_shares({{"shared.weight"}}), config.vocab, tensor_};
  if (range_.encoder_end > range_.encoder_begin) encoder_bias_ = loader_.column_share_float(kEncoderBias);
  for (std::int64_t i = range_.encoder_begin; i < range_.encoder_end; ++i)
    encoder_.push_back(load_encoder_layer(i, config, loader_, tensor_));
  if (ends_encoder()) encoder_norm_ = loader_.whole("encoder.final_layer_norm.weight", DType::kFloat32);
  if (range_.decoder_end > range_.decoder_begin) decoder_bias_ = loader_.column_share_float(kDecoderBias);
  for (std::int64_t i = range_.decoder_begin; i < range_.decoder_end; ++i)
    decoder_.push_back(load_decoder_layer(i, config, loader_, tensor_));
  if (ends_decoder()) {
    decoder_norm_ = loader_.whole("decoder.final_layer_norm.weight", DType::kFloat32);
    head_.emplace(config.tied_head ? embedding_.table() : loader_.row_shares({{"lm_head.weight"}}), tensor_);
  }
}

void T5Stage::run_encoder(StageIO& io, const MicroBatch& batch, const TokenSplit& tokens,
                          const ForwardContext& context, const T5Pass& pass) const {
  const auto observe = [&](const std::string& name) {
    if (context.observe) context.observe(name, tokens.all_of(io.encoder), tokens.layout());
  };
  if (embeds_encoder())
    io.encoder = dropout_rows(
        embedding_.with_prompts({batch.encoder_ids, batch.encoder, batch.lanes, batch.encoder.lengths()},
                                adapter_, tokens),
        pass.residual(encoder_site(-1, 0)), tokens.own());
  const RelativeBias bias{config_.buckets, config_.max_distance, /*bidirectional=*/true, /*causal=*/false};
  for (std::size_t i = 0; i < encoder_.size(); ++i) {
    const std::int64_t layer = range_.encoder_begin + static_cast<std::int64_t>(i);
    const std::int64_t site = encoder_site(layer, 0);
    io.encoder = encoder_[i].attention(io.encoder, encoder_bias_, bias, tokens, pass, site);
    io.encoder = encoder_[i].feed_forward(io.encoder, tokens, pass, site);
    observe(fmt::format("encoder.layer.{}", layer));
  }
  if (!ends_encoder()) return;
  io.encoder = dropout_rows(rms_norm(io.encoder, tokens.weight(encoder_norm_), config_.norm_epsilon),
                            pass.residual(encoder_site(-1, 1)), tokens.own());
  observe("encoder.final");
}

void T5Stage::run_decoder(StageIO& io, const MicroBatch& batch, const TokenSplit& encoder_tokens,
                          const ForwardContext& context, const T5Pass& pass) const {
  if (decoder_.empty()) return;
  const TokenSplit tokens = split(decoder_layout(batch));
  const auto observe = [&](const std::string& name) {
    if (context.observe) context.observe(name, tokens.all_of(io.decoder), tokens.layout());
  };
  if (embeds_decoder())
    io.decoder = dropout_rows(
        embedding_.with_prompts({batch.decoder_ids, batch.decoder, batch.lanes, batch.decoder.lengths()},
                                decoder_adapter_, tokens),
        pass.residual(decoder_site(-1, 0)), tokens.own());
  const at::Tensor encoder = encoder_tokens.enter(io.encoder);
  const RelativeBias bias{config_.buckets, config_.max_distance, /*bidirectional=*/false, /*causal=*/true};
  for (std::size_t i = 0; i < decoder_.size(); ++i) {
    const std::int64_t layer = range_.decoder_begin + static_cast<std::int64_t>(i);
    const std::int64_t site = decoder_site(layer, 0);
    io.decoder = decoder_[i].attention(io.decoder, decoder_bias_, bias, tokens, pass, site);
    io.decoder = decoder_[i].cross(io.decoder, encoder, tokens, encoder_tokens.layout(), pass, site);
    io.decoder = decoder_[i].feed_forward(io.decoder, tokens, pass, site);
    observe(fmt::format("decoder.layer.{}", layer));
  }
  if (!ends_decoder()) return;
  io.decoder = dropout_rows(rms_norm(io.decoder, tokens.weight(decoder_norm_), config_.norm_epsilon),
                            pass.residual(decoder_site(-1, 1)), tokens.own());
  observe("decoder.final");
  io.decoder = tokens.enter(io.decoder);  // for the head, which predicts nothing behind a prompt's rows
  if (decoder_adapter_) io.decoder = last_positions(io.decoder, batch.decoder, tokens.layout());
}

StageIO T5Stage::forward(StageIO io, const MicroBatch& batch, const ForwardContext& context) {
  const TokenSplit tokens = split(encoder_layout(batch));
  const T5Pass pass(context, batch, config_, tensor_);
  run_encoder(io, batch, tokens, context, pass);
  run_decoder(io, batch, tokens, context, pass);
  return io;
}

// Logits of this rank's share of the vocabulary, float32 [decoder tokens, its rows], of states that have
// entered the tensor region.
at::Tensor T5Stage::head(const at::Tensor& decoder_td) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.d_model));
  return head_->of_entered(config_.scale_decoder_output ? decoder_td * scale : decoder_td).to(at::kFloat);
}

LossSums T5Stage::loss(const StageIO& out, const MicroBatch& batch, double z_loss) {
  return {vocab_parallel_cross_entropy(head(out.decoder), batch.targets, z_loss, config_.vocab, tensor_),
          batch.decoder.tokens()};
}

StageShape T5Stage::shape_of(const MicroBatch& batch) const {
  const ColumnParallelLinear& any = encoder_.empty() ? decoder_[0].attention.qkv : encoder_[0].attention.qkv;
  StageShape shape;
  if (range_.encoder_begin > 0) shape.encoder_tokens = encoder_layout(batch).tokens();
  shape.width = config_.d_model;
  shape.options = any.weight().options().requires_grad(false);
  if (any.weight().is_cpu()) shape.options = shape.options.dtype(at::kFloat);
  return shape;
}

// Every stage but the first receives encoder states, for its encoder layers or to attend to.
StageShape T5Stage::receive_shape(const MicroBatch& batch) const {
  StageShape shape = shape_of(batch);
  if (range_.encoder_begin > 0) shape.encoder_tokens = split(encoder_layout(batch)).share().count;
  if (range_.decoder_begin > 0) shape.decoder_tokens = split(decoder_layout(batch)).share().count;
  return shape;
}

StageShape T5Stage::prefill_shape(const MicroBatch& batch) const {
  StageShape shape = shape_of(batch);
  if (range_.decoder_begin > 0 && decoder_adapter_) shape.decoder_tokens = decoder_prompts(batch).tokens();
  return shape;
}

Prefill T5Stage::prefill(StageIO io, const MicroBatch& batch, std::int64_t max_tokens) {
  const c10::NoGradGuard no_grad;
  const ForwardContext context;
  const T5Pass pass(context, batch, config_, tensor_);
  const RowLayout layout = encoder_layout(batch);
  run_encoder(io, batch, TokenSplit(layout, tensor_, /*split=*/false), context, pass);
  if (decoder_.empty()) return {{io.encoder, {}}, nullptr};
  T5Decoding model{config_, decoder_, decoder_bias_, tensor_, {}, {}};
  if (embeds_decoder()) model.embed = [this](const at::Tensor& ids) { return embedding_(ids); };
  if (ends_decoder())
    model.logits = [this](const at::Tensor& decoder_td) {
      return head(rms_norm(decoder_td, decoder_norm_, config_.norm_epsilon));
    };
  const RowLayout prompts = decoder_prompts(batch);
  std::vector<T5LayerCache> caches =
      make_t5_caches(model, {io.encoder, layout, pass, prompts.longest() + max_tokens});
  if (!decoder_adapter_) return {{io.encoder, {}}, make_t5_decoder(std::move(model), std::move(caches))};
  if (embeds_decoder())
    io.decoder = put_prompts(io.encoder.narrow(0, 0, 0), no_text(batch), batch.lanes, decoder_adapter_,
                             std::vector<std::int64_t>(batch.lanes.size(), 0));
  io.decoder = fill_t5_caches(model, caches, io.decoder, prompts, pass);
  return {io, make_t5_decoder(std::move(model), std::move(caches))};
}

std::vector<LinearSite> T5Stage::linear_sites() {
  std::vector<LinearSite> sites;
  const auto add = [&](auto&... maps) { (sites.push_back(loader_.site(maps)), ...); };
  for (T5EncoderLayer& layer : encoder_)
    add(layer.attention.qkv, layer.attention.o, layer.feed_forward.wi, layer.feed_forward.wo);
  for (T5DecoderLayer& layer : decoder_)
    add(layer.attention.qkv, layer.attention.o, layer.cross.q, layer.cross.kv, layer.cross.o,
        layer.feed_forward.wi, layer.feed_forward.wo);
  if (head_ && !config_.tied_head) add(*head_);
  return sites;
}

std::vector<KeyValueSite> T5Stage::key_value_sites() {
  std::vector<KeyValueSite> sites;
  for (T5EncoderLayer& layer : encoder_)
    sites.push_back(loader_.key_value_site(layer.attention.qkv, layer.attention.prefix));
  for (T5DecoderLayer& layer : decoder_) {
    sites.push_back(loader_.key_value_site(layer.attention.qkv, layer.attention.prefix));
    sites.push_back(loader_.key_value_site(layer.cross.kv, layer.cross.prefix));
  }
  return sites;
}

}  // namespace

T5StageRange whole_model(const T5Config& config) {
  return {0, config.encoder_layers, 0, config.decoder_layers};
}

std::unique_ptr<ModelStage> make_t5_stage(const T5Config& config, const TensorSource& weights, World& world,
                                          const T5StageOptions& options) {
  check(config);
  return std::make_unique<T5Stage>(config, weights, world, options);
}

}  // namespace trimtab
