// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_layers.h"

#include "models/ops/cross_attention.h"
#include "models/ops/dropout.h"
#include "models/ops/feed_forward.h"
#include "models/ops/rms_norm.h"

namespace trimtab {
namespace {

// Uses of dropout inside a layer.
enum : std::int64_t { kSelfKeys, kSelfOut, kCrossKeys, kCrossOut, kInner, kFeedForwardOut, kUses };

std::vector<WeightLoader::Rows> feed_forward_inputs(const std::string& prefix, const T5Config& config) {
  if (!config.gated_gelu) return {{prefix + "DenseReluDense.wi.weight"}};
  return {{prefix + "DenseReluDense.wi_0.weight"}, {prefix + "DenseReluDense.wi_1.weight"}};
}

}  // namespace

// Sites 0 and 1 of each stack's "layer -1" are the embedding's and the final norm's.
std::int64_t encoder_site(std::int64_t layer, std::int64_t use) { return (layer + 1) * kUses + use; }
std::int64_t decoder_site(std::int64_t layer, std::int64_t use) {
  constexpr std::int64_t kDecoder = std::int64_t{1} << 20;
  return kDecoder + encoder_site(layer, use);
}

T5Pass::T5Pass(const ForwardContext& context, const MicroBatch& batch, const T5Config& config,
               Communicator& tensor)
    : context_(context),
      batch_(batch),
      config_(config),
      tensor_(tensor),
      on_(context.training && context.dropout > 0) {}

AdapterPass T5Pass::rows(const RowLayout& layout) const {
  return {layout, batch_.samples, context_.training, context_.seed, context_.step};
}

at::Tensor T5Pass::residual(std::int64_t site) const {
  if (!on_) return {};
  return dropout_mask(batch_.samples, config_.d_model, context_.dropout, context_.seed, context_.step,
                      static_cast<std::uint32_t>(site));
}

at::Tensor T5Pass::feed_forward(std::int64_t site) const {
  if (!on_) return {};
  const at::Tensor all = dropout_mask(batch_.samples, config_.d_ff, context_.dropout, context_.seed,
                                      context_.step, static_cast<std::uint32_t>(site));
  const Share own = share_of({1, config_.d_ff}, tensor_);
  return all.narrow(1, own.begin, own.count).contiguous();
}

at::Tensor T5Pass::keys(std::int64_t site, const RowLayout& layout) const {
  if (!on_) return {};
  const at::Tensor all = dropout_key_mask(batch_.samples, layout, config_.heads, context_.dropout,
                                          context_.seed, context_.step, static_cast<std::uint32_t>(site));
  const Share own = share_of({1, config_.heads}, tensor_);
  return all.narrow(1, own.begin, own.count).contiguous();
}

T5FeedForward::T5FeedForward(const std::string& prefix, const T5Config& config, WeightLoader& loader,
                             Communicator& tensor)
    : norm(loader.whole(prefix + "layer_norm.weight", DType::kFloat32)),
      wi(loader.row_shares(feed_forward_inputs(prefix, config)), tensor),
      wo(loader.column_share(prefix + "DenseReluDense.wo.weight"), tensor),
      epsilon(config.norm_epsilon),
      gated(config.gated_gelu) {}

at::Tensor T5FeedForward::operator()(const at::Tensor& x_td, const TokenSplit& tokens, const T5Pass& pass,
                                     std::int64_t site) const {
  const RowLayout& layout = tokens.layout();
  const AdapterPass rows = pass.rows(layout);
  const at::Tensor inner = wi.of_entered(tokens.enter(rms_norm(x_td, tokens.weight(norm), epsilon)), &rows);
  const at::Tensor mask = pass.feed_forward(site + kInner);
  const at::Tensor active = gated ? gated_gelu(inner, mask, layout) : relu_dropout(inner, mask, layout);
  return add_dropout(x_td, tokens.leave(wo.part_of(active, &rows)), pass.residual(site + kFeedForwardOut),
                     tokens.own());
}

T5SelfAttention::T5SelfAttention(const std::string& name, const T5Config& config, WeightLoader& loader,
                                 Communicator& tensor)
    : norm(loader.whole(name + "layer_norm.weight", DType::kFloat32)),
      qkv(loader.row_shares({{name + "SelfAttention.q.weight", config.d_kv},
                             {name + "SelfAttention.k.weight", config.d_kv},
                             {name + "SelfAttention.v.weight", config.d_kv}}),
          tensor),
      o(loader.column_share(name + "SelfAttention.o.weight", config.d_kv), tensor),
      epsilon(config.norm_epsilon),
      heads(rank_share(config, tensor.rank(), tensor.size()).heads) {}

at::Tensor T5SelfAttention::operator()(const at::Tensor& x_td, const at::Tensor& bias_table,
                                       const RelativeBias& bias, const TokenSplit& tokens, const T5Pass& pass,
                                       std::int64_t site) const {
  const RowLayout& layout = tokens.layout();
  const AdapterPass rows = pass.rows(layout);
  at::Tensor columns = qkv.of_entered(tokens.enter(rms_norm(x_td, tokens.weight(norm), epsilon)), &rows);
  const RowLayout seen = with_prefix(layout, pass.lanes(), prefix);
  if (prefix) columns = put_prefix(columns, layout, pass.lanes(), *prefix);
  at::Tensor mixed =
      self_attention(columns, bias_table, bias, seen, heads, pass.keys(site + kSelfKeys, seen));
  if (prefix) mixed = last_positions(mixed, layout, seen);
  return add_dropout(x_td, tokens.leave(o.part_of(mixed, &rows)), pass.residual(site + kSelfOut),
                     tokens.own());
}

T5CrossAttention::T5CrossAttention(const std::string& name, const T5Config& config, WeightLoader& loader,
                                   Communicator& tensor)
    : norm(loader.whole(name + "layer_norm.weight", DType::kFloat32)),
      q(loader.row_shares({{name + "EncDecAttention.q.weight", config.d_kv}}), tensor),
      kv(loader.row_shares({{name + "EncDecAttention.k.weight", config.d_kv},
                            {name + "EncDecAttention.v.weight", config.d_kv}}),
         tensor),
      o(loader.column_share(name + "EncDecAttention.o.weight", config.d_kv), tensor),
      epsilon(config.norm_epsilon),
      heads(rank_share(config, tensor.rank(), tensor.size()).heads) {}

KeysAndValues T5CrossAttention::keys_and_values(const at::Tensor& encoder_td, const RowLayout& encoder,
                                                const T5Pass& pass) const {
  const AdapterPass rows = pass.rows(encoder);
  const at::Tensor both = kv.of_entered(encoder_td, &rows);
  const std::int64_t inner = both.size(1) / 2;
  const KeysAndValues of_tokens{both.narrow(1, 0, inner).contiguous(),
                                both.narrow(1, inner, inner).contiguous(), encoder};
  return prefix ? put_prefix(of_tokens, pass.lanes(), *prefix) : of_tokens;
}

// With nothing attached to keys and values, they need not be made of every encoder token.
at::Tensor T5CrossAttention::attend(const at::Tensor& q_ti, const at::Tensor& encoder_td,
                                    const RowLayout& decoder, const RowLayout& encoder, const T5Pass& pass,
                                    std::int64_t site) const {
  if (!prefix && !kv.adapter()) {
    const at::Tensor weights = kv.weight().to(encoder_td.scalar_type());
    const std::int64_t inner = weights.size(0) / 2;
    return cross_attention(q_ti, encoder_td, weights.narrow(0, 0, inner), weights.narrow(0, inner, inner),
                           decoder, encoder, heads, pass.keys(site + kCrossKeys, encoder));
  }
  const KeysAndValues seen = keys_and_values(encoder_td, encoder, pass);
  return attend_to_keys(q_ti, seen, decoder, heads, pass.keys(site + kCrossKeys, seen.layout));
}

at::Tensor T5CrossAttention::operator()(const at::Tensor& x_td, const at::Tensor& encoder_td,
                                        const TokenSplit& decoder, const RowLayout& encoder,
                                        const T5Pass& pass, std::int64_t site) const {
  const AdapterPass rows = pass.rows(decoder.layout());
  const at::Tensor q_ti = q.of_entered(decoder.enter(rms_norm(x_td, decoder.weight(norm), epsilon)), &rows);
  const at::Tensor mixed = attend(q_ti, encoder_td, decoder.layout(), encoder, pass, site);
  return add_dropout(x_td, decoder.leave(o.part_of(mixed, &rows)), pass.residual(site + kCrossOut),
                     decoder.own());
}

T5EncoderLayer load_encoder_layer(std::int64_t layer, const T5Config& config, WeightLoader& loader,
                                  Communicator& tensor) {
  const std::string block = fmt::format("encoder.block.{}.layer.", layer);
  return {T5SelfAttention(block + "0.", config, loader, tensor),
          T5FeedForward(block + "1.", config, loader, tensor)};
}

T5DecoderLayer load_decoder_layer(std::int64_t layer, const T5Config& config, WeightLoader& loader,
                                  Communicator& tensor) {
  const std::string block = fmt::format("decoder.block.{}.layer.", layer);
  return {T5SelfAttention(block + "0.", config, loader, tensor),
          T5CrossAttention(block + "1.", config, loader, tensor),
          T5FeedForward(block + "2.", config, loader, tensor)};
}

namespace {

void add_modules(std::vector<std::string>& all, const std::string& prefix,
                 const std::vector<std::string>& maps) {
  for (const std::string& map : maps) all.push_back(prefix + map);
}

}  // namespace

std::vector<std::string> t5_linear_modules(const T5Config& config) {
  const std::vector<std::string> attention = {".q", ".k", ".v", ".o"};
  const std::vector<std::string> feed_forward = config.gated_gelu
                                                    ? std::vector<std::string>{"wi_0", "wi_1", "wo"}
                                                    : std::vector<std::string>{"wi", "wo"};
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < config.encoder_layers; ++i) {
    const std::string block = fmt::format("encoder.block.{}.layer.", i);
    add_modules(all, block + "0.SelfAttention", attention);
    add_modules(all, block + "1.DenseReluDense.", feed_forward);
  }
  for (std::int64_t i = 0; i < config.decoder_layers; ++i) {
    const std::string block = fmt::format("decoder.block.{}.layer.", i);
    add_modules(all, block + "0.SelfAttention", attention);
    add_modules(all, block + "1.EncDecAttention", attention);
    add_modules(all, block + "2.DenseReluDense.", feed_forward);
  }
  if (!config.tied_head) all.emplace_back("lm_head");
  return all;
}

std::vector<std::string> t5_attention_modules(const T5Config& config) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < config.encoder_layers; ++i)
    all.push_back(fmt::format("encoder.block.{}.layer.0.SelfAttention", i));
  for (std::int64_t i = 0; i < config.decoder_layers; ++i)
    add_modules(all, fmt::format("decoder.block.{}.layer.", i), {"0.SelfAttention", "1.EncDecAttention"});
  return all;
}

}  // namespace trimtab
