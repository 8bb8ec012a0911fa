// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_decoding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "models/ops/feed_forward.h"
#include "models/ops/rms_norm.h"
#include "parallel/vocab.h"

namespace trimtab {
namespace {

KvCache self_cache(const T5SelfAttention& attention, const T5DecodingStart& start) {
  const std::vector<std::int32_t>& lanes = start.pass.lanes();
  const RowLayout none(std::vector<std::int64_t>(lanes.size(), 0));
  const std::int64_t steps = with_prefix(none, lanes, attention.prefix).longest() + start.max_positions;
  KvCache cache(start.encoder.rows(), steps, attention.qkv.weight().size(0) / 3, start.encoder_td.options());
  if (attention.prefix) put_prefix(cache, lanes, *attention.prefix);
  return cache;
}

RelativeBias bias_of(const T5Config& config) {
  return {config.buckets, config.max_distance, /*bidirectional=*/false, /*causal=*/true};
}

at::Tensor feed_forward(const T5FeedForward& ff, const at::Tensor& x, const RowLayout& layout) {
  const at::Tensor inner = ff.wi(rms_norm(x, ff.norm, ff.epsilon));
  return x + ff.wo(ff.gated ? gated_gelu(inner, {}, layout) : relu_dropout(inner, {}, layout));
}

// One token of each row, x [rows, d], through one layer.
at::Tensor layer_step(const T5DecoderLayer& layer, at::Tensor x, T5LayerCache& cache,
                      const at::Tensor& bias_table, const RelativeBias& bias) {
  const T5SelfAttention& self = layer.attention;
  x = x + self.o(self_attention_step(self.qkv(rms_norm(x, self.norm, self.epsilon)), cache.self, bias_table,
                                     bias, self.heads));
  const T5CrossAttention& cross = layer.cross;
  x = x + cross.o(cross_attention_step(cross.q(rms_norm(x, cross.norm, cross.epsilon)), cache.cross,
                                       cross.heads));
  return feed_forward(layer.feed_forward, x,
                      RowLayout(std::vector<std::int64_t>(static_cast<std::size_t>(x.size(0)), 1)));
}

class T5StageDecoder final : public StageDecoder {
 public:
  T5StageDecoder(T5Decoding model, std::vector<T5LayerCache> caches)
      : model_(std::move(model)), caches_(std::move(caches)) {}

  // Padding starts a target.
  at::Tensor first_ids() const override {
    const auto rows = static_cast<std::int64_t>(caches_.front().self.lengths.size());
    return at::full({rows}, model_.config.pad_id, at::TensorOptions(at::kLong));
  }

  at::Tensor step(const at::Tensor& in) override {
    const c10::NoGradGuard no_grad;
    const RelativeBias bias = bias_of(model_.config);
    at::Tensor x = model_.embed ? model_.embed(in) : in;
    for (std::size_t i = 0; i < caches_.size(); ++i)
      x = layer_step(model_.layers[i], x, caches_[i], model_.bias_table, bias);
    return x;
  }

  void rewind(std::int64_t tokens) override {
    for (T5LayerCache& cache : caches_) cache.self.rewind(tokens);
  }
  at::Tensor most_likely(const at::Tensor& x) override {
    const c10::NoGradGuard no_grad;
    return vocab_parallel_argmax(model_.logits(x), model_.config.vocab, model_.tensor);
  }
  at::Tensor log_likelihoods(const at::Tensor& x, const at::Tensor& ids) override {
    const c10::NoGradGuard no_grad;
    return vocab_parallel_log_likelihoods(model_.logits(x), ids, model_.config.vocab, model_.tensor);
  }

 private:
  T5Decoding model_;
  std::vector<T5LayerCache> caches_;
};

}  // namespace

std::vector<T5LayerCache> make_t5_caches(const T5Decoding& model, const T5DecodingStart& start) {
  const c10::NoGradGuard no_grad;
  std::vector<T5LayerCache> caches;
  for (const T5DecoderLayer& layer : model.layers)
    caches.push_back({self_cache(layer.attention, start),
                      layer.cross.keys_and_values(start.encoder_td, start.encoder, start.pass)});
  return caches;
}

at::Tensor fill_t5_caches(const T5Decoding& model, std::vector<T5LayerCache>& caches, at::Tensor x_td,
                          const RowLayout& layout, const T5Pass& pass) {
  const c10::NoGradGuard no_grad;
  const RelativeBias bias = bias_of(model.config);
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const T5SelfAttention& self = model.layers[i].attention;
    at::Tensor columns = self.qkv(rms_norm(x_td, self.norm, self.epsilon));
    extend_cache(caches[i].self, columns, self.heads, layout);
    if (model.logits && i + 1 == caches.size()) return {};
    const RowLayout seen = with_prefix(layout, pass.lanes(), self.prefix);
    if (self.prefix) columns = put_prefix(columns, layout, pass.lanes(), *self.prefix);
    at::Tensor mixed = self_attention(columns, model.bias_table, bias, seen, self.heads, {});
    if (self.prefix) mixed = last_positions(mixed, layout, seen);
    x_td = x_td + self.o(mixed);
    const T5CrossAttention& cross = model.layers[i].cross;
    const at::Tensor asked = cross.q(rms_norm(x_td, cross.norm, cross.epsilon));
    x_td = x_td + cross.o(attend_to_keys(asked, caches[i].cross, layout, cross.heads, {}));
    x_td = feed_forward(model.layers[i].feed_forward, x_td, layout);
  }
  return x_td;
}

std::unique_ptr<StageDecoder> make_t5_decoder(T5Decoding model, std::vector<T5LayerCache> caches) {
  return std::make_unique<T5StageDecoder>(std::move(model), std::move(caches));
}

}  // namespace trimtab
