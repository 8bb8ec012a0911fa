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

std::vector<std::string> feed_forward_inputs(const std::string& prefix, const T5Config& config) {
  if (!config.gated_gelu) return {prefix + "DenseReluDense.wi.weight"};
  return {prefix + "DenseReluDense.wi_0.weight", prefix + "DenseReluDense.wi_1.weight"};
}

}  // namespace

// Sites 0 and 1 of each stack's "layer -1" are the embedding's and the final norm's.
std::int64_t encoder_site(std::int64_t layer, std::int64_t use) { return (layer + 1) * kUses + use; }
std::int64_t decoder_site(std::int64_t layer, std::int64_t use) {
  constexpr std::int64_t kDecoder = std::int64_t{1} << 20;
  return kDecoder + encoder_site(layer, use);
}

T5Dropout::T5Dropout(const ForwardContext& context, const MicroBatch& batch, const T5Config& config,
                     Communicator& tensor)
    : context_(context),
      batch_(batch),
      config_(config),
      tensor_rank_(tensor.rank()),
      tensor_size_(tensor.size()),
      on_(context.training && context.dropout > 0) {}

at::Tensor T5Dropout::residual(std::int64_t site) const {
  if (!on_) return {};
  return dropout_mask(batch_.samples, config_.d_model, context_.dropout, context_.seed, context_.step,
                      static_cast<std::uint32_t>(site));
}

at::Tensor T5Dropout::feed_forward(std::int64_t site) const {
  if (!on_) return {};
  const at::Tensor all = dropout_mask(batch_.samples, config_.d_ff, context_.dropout, context_.seed,
                                      context_.step, static_cast<std::uint32_t>(site));
  const std::int64_t share = config_.d_ff / tensor_size_;
  return all.narrow(1, tensor_rank_ * share, share).contiguous();
}

at::Tensor T5Dropout::keys(std::int64_t site, const RowLayout& layout) const {
  if (!on_) return {};
  const at::Tensor all = dropout_key_mask(batch_.samples, layout, config_.heads, context_.dropout,
                                          context_.seed, context_.step, static_cast<std::uint32_t>(site));
  const std::int64_t share = config_.heads / tensor_size_;
  return all.narrow(1, tensor_rank_ * share, share).contiguous();
}

T5FeedForward::T5FeedForward(const std::string& prefix, const T5Config& config, WeightLoader& loader,
                             Communicator& tensor)
    : norm(loader.whole(prefix + "layer_norm.weight", DType::kFloat32)),
      wi(loader.row_shares(feed_forward_inputs(prefix, config)), tensor),
      wo(loader.column_share(prefix + "DenseReluDense.wo.weight"), tensor),
      epsilon(config.norm_epsilon),
      gated(config.gated_gelu) {}

at::Tensor T5FeedForward::operator()(const at::Tensor& x_td, const RowLayout& layout,
                                     const T5Dropout& dropout, std::int64_t site) const {
  const at::Tensor inner = wi(rms_norm(x_td, norm, epsilon));
  const at::Tensor mask = dropout.feed_forward(site + kInner);
  const at::Tensor active = gated ? gated_gelu(inner, mask, layout) : relu_dropout(inner, mask, layout);
  return add_dropout(x_td, wo(active), dropout.residual(site + kFeedForwardOut), layout);
}

T5SelfAttention::T5SelfAttention(const std::string& prefix, const T5Config& config, WeightLoader& loader,
                                 Communicator& tensor)
    : norm(loader.whole(prefix + "layer_norm.weight", DType::kFloat32)),
      qkv(loader.row_shares({prefix + "SelfAttention.q.weight", prefix + "SelfAttention.k.weight",
                             prefix + "SelfAttention.v.weight"}),
          tensor),
      o(loader.column_share(prefix + "SelfAttention.o.weight"), tensor),
      epsilon(config.norm_epsilon),
      heads(config.heads / tensor.size()) {}

at::Tensor T5SelfAttention::operator()(const at::Tensor& x_td, const at::Tensor& bias_table,
                                       const RelativeBias& bias, const RowLayout& layout,
                                       const T5Dropout& dropout, std::int64_t site) const {
  const at::Tensor mixed = self_attention(qkv(rms_norm(x_td, norm, epsilon)), bias_table, bias, layout, heads,
                                          dropout.keys(site + kSelfKeys, layout));
  return add_dropout(x_td, o(mixed), dropout.residual(site + kSelfOut), layout);
}

T5CrossAttention::T5CrossAttention(const std::string& prefix, const T5Config& config, WeightLoader& loader,
                                   Communicator& tensor)
    : norm(loader.whole(prefix + "layer_norm.weight", DType::kFloat32)),
      q(loader.row_shares({prefix + "EncDecAttention.q.weight"}), tensor),
      kv(loader.row_shares({prefix + "EncDecAttention.k.weight", prefix + "EncDecAttention.v.weight"})),
      o(loader.column_share(prefix + "EncDecAttention.o.weight"), tensor),
      epsilon(config.norm_epsilon),
      heads(config.heads / tensor.size()) {}

at::Tensor T5CrossAttention::operator()(const at::Tensor& x_td, const at::Tensor& encoder_td,
                                        const RowLayout& decoder, const RowLayout& encoder,
                                        const T5Dropout& dropout, std::int64_t site) const {
  const std::int64_t inner = kv.size(0) / 2;
  const at::Tensor weights = kv.to(x_td.scalar_type());
  const at::Tensor mixed = cross_attention(q(rms_norm(x_td, norm, epsilon)), encoder_td,
                                           weights.narrow(0, 0, inner), weights.narrow(0, inner, inner),
                                           decoder, encoder, heads, dropout.keys(site + kCrossKeys, encoder));
  return add_dropout(x_td, o(mixed), dropout.residual(site + kCrossOut), decoder);
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

}  // namespace trimtab
