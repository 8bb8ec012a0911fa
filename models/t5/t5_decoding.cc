// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_decoding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "models/ops/decode_attention.h"
#include "models/ops/feed_forward.h"
#include "models/ops/rms_norm.h"

namespace trimtab {
namespace {

struct LayerCache {
  KvCache self;
  KeysAndValues cross;
};

KvCache self_cache(const T5SelfAttention& attention, const T5DecodingStart& start) {
  const std::vector<std::int32_t>& lanes = start.pass.lanes();
  const RowLayout none(std::vector<std::int64_t>(lanes.size(), 0));
  const std::int64_t steps = with_prefix(none, lanes, attention.prefix).longest() + start.max_tokens;
  KvCache cache(start.encoder.rows(), steps, attention.qkv.weight().size(0) / 3, start.encoder_td.options());
  if (attention.prefix) put_prefix(cache, lanes, *attention.prefix);
  return cache;
}

std::vector<LayerCache> make_caches(const T5Decoding& model, const T5DecodingStart& start) {
  std::vector<LayerCache> caches;
  for (const T5DecoderLayer& layer : model.layers)
    caches.push_back({self_cache(layer.attention, start),
                      layer.cross.keys_and_values(start.encoder_td, start.encoder, start.pass)});
  return caches;
}

// One token of each row, x [rows, d], through one layer.
at::Tensor layer_step(const T5DecoderLayer& layer, at::Tensor x, LayerCache& cache,
                      const at::Tensor& bias_table, const RelativeBias& bias) {
  const T5SelfAttention& self = layer.attention;
  x = x + self.o(self_attention_step(self.qkv(rms_norm(x, self.norm, self.epsilon)), cache.self, bias_table,
                                     bias, self.heads));
  const T5CrossAttention& cross = layer.cross;
  x = x + cross.o(cross_attention_step(cross.q(rms_norm(x, cross.norm, cross.epsilon)), cache.cross,
                                       cross.heads));
  const T5FeedForward& ff = layer.feed_forward;
  const at::Tensor inner = ff.wi(rms_norm(x, ff.norm, ff.epsilon));
  const RowLayout one_each(std::vector<std::int64_t>(static_cast<std::size_t>(x.size(0)), 1));
  return x + ff.wo(ff.gated ? gated_gelu(inner, {}, one_each) : relu_dropout(inner, {}, one_each));
}

class T5StageDecoder final : public StageDecoder {
 public:
  T5StageDecoder(T5Decoding model, std::vector<LayerCache> caches)
      : model_(std::move(model)), caches_(std::move(caches)) {}

  // Padding starts a target.
  at::Tensor first_ids() const override {
    const auto rows = static_cast<std::int64_t>(caches_.front().self.lengths.size());
    return at::full({rows}, model_.config.pad_id, at::TensorOptions(at::kLong));
  }

  at::Tensor step(const at::Tensor& in) override {
    const c10::NoGradGuard no_grad;
    const RelativeBias bias{model_.config.buckets, model_.config.max_distance, /*bidirectional=*/false,
                            /*causal=*/true};
    at::Tensor x = model_.embed ? model_.embed(in) : in;
    for (std::size_t i = 0; i < caches_.size(); ++i)
      x = layer_step(model_.layers[i], x, caches_[i], model_.bias_table, bias);
    return model_.most_likely ? model_.most_likely(x) : x;
  }

 private:
  T5Decoding model_;
  std::vector<LayerCache> caches_;
};

}  // namespace

std::unique_ptr<StageDecoder> make_t5_decoder(T5Decoding model, const T5DecodingStart& start) {
  const c10::NoGradGuard no_grad;
  std::vector<LayerCache> caches = make_caches(model, start);
  return std::make_unique<T5StageDecoder>(std::move(model), std::move(caches));
}

}  // namespace trimtab
