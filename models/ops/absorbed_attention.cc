// SPDX-License-Identifier: Apache-2.0
//
// Cross-attention in model space. Legend: t decoder tokens, n encoder tokens of a row; H heads; D d_model;
// q~ = q_h Wk_h and c = P enc are [decoder tokens, H, D].
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/ops/attention_core.h"
#include "models/ops/cross_attention.h"
#include "models/ops/cross_setting.h"
#include "models/ops/kernels.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using detail::CrossSetting;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Per head: x_h [tokens, width] times W_h [width, D] -> [tokens, H, D].
at::Tensor into_model_space(const at::Tensor& x, const at::Tensor& weight, std::int64_t heads) {
  const std::int64_t inner = x.size(1);
  const std::int64_t width = inner / heads;
  const std::int64_t d_model = weight.size(1);
  at::Tensor wide = at::empty({x.size(0), heads, d_model}, x.options());
  const float* from = x.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float* to = wide.mutable_data_ptr<float>();
  detail::for_units(heads, [&](std::int64_t head, std::int64_t) {
    detail::multiply({.m = x.size(0), .n = d_model, .k = width}, from + head * width, inner,
                     w + head * width * d_model, d_model, to + head * d_model, heads * d_model);
  });
  return wide;
}

// Per head: wide_h [tokens, D] times W_h^T [D, width] -> [tokens, H * width].
at::Tensor out_of_model_space(const at::Tensor& wide, const at::Tensor& weight) {
  const std::int64_t heads = wide.size(1);
  const std::int64_t d_model = wide.size(2);
  const std::int64_t inner = weight.size(0);
  const std::int64_t width = inner / heads;
  at::Tensor x = at::empty({wide.size(0), inner}, wide.options());
  const float* from = wide.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float* to = x.mutable_data_ptr<float>();
  detail::for_units(heads, [&](std::int64_t head, std::int64_t) {
    detail::multiply({.transpose_b = true, .m = wide.size(0), .n = width, .k = d_model},
                     from + head * d_model, heads * d_model, w + head * width * d_model, d_model,
                     to + head * width, inner);
  });
  return x;
}

// Where the scores [t * H, n] of each row begin; the last entry is their number.
std::vector<std::int64_t> score_offsets(const CrossSetting& setting) {
  std::vector<std::int64_t> offsets = {0};
  for (std::int64_t row = 0; row < setting.decoder.rows(); ++row)
    offsets.push_back(offsets.back() +
                      setting.decoder.length(row) * setting.heads * setting.encoder.length(row));
  return offsets;
}

// One query of one head against the n keys of its row.
detail::ScoreBlock one_query(const CrossSetting& setting, std::int64_t row, std::int64_t head) {
  detail::ScoreBlock block = {};
  block.queries = 1;
  block.keys = block.ld_scores = setting.encoder.length(row);
  const float* mask = detail::data_or_null(setting.key_mask);
  if (mask) block.key_mask = mask + head * setting.encoder.tokens() + setting.encoder.begin(row);
  return block;
}

class AbsorbedAttention : public torch::autograd::Function<AbsorbedAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_input,
                            const at::Tensor& encoder_input, const at::Tensor& wk_input,
                            const at::Tensor& wv_input, const CrossSetting& setting) {
    const at::Tensor q = q_input.contiguous();
    const at::Tensor encoder = encoder_input.contiguous();
    const at::Tensor wk = wk_input.contiguous();
    const at::Tensor wv = wv_input.contiguous();
    const std::int64_t heads = setting.heads;
    const std::int64_t d_model = encoder.size(1);
    const at::Tensor wide_q = into_model_space(q, wk, heads);
    const std::vector<std::int64_t> offsets = score_offsets(setting);
    at::Tensor scores = at::empty({offsets.back()}, q.options());
    at::Tensor weights = at::empty({offsets.back()}, q.options());
    at::Tensor context_vectors = at::empty_like(wide_q);
    at::Tensor statistics = at::empty({2, q.size(0), heads}, q.options());
    float* log_sum = statistics.mutable_data_ptr<float>();
    float* inverse = log_sum + q.size(0) * heads;
    detail::for_units(setting.decoder.rows(), [&](std::int64_t row, std::int64_t) {
      const std::int64_t queries = setting.decoder.length(row) * heads;
      const std::int64_t keys = setting.encoder.length(row);
      const std::int64_t first = setting.decoder.begin(row) * heads;
      const float* states = encoder.const_data_ptr<float>() + setting.encoder.begin(row) * d_model;
      float* raw = scores.mutable_data_ptr<float>() + offsets[static_cast<std::size_t>(row)];
      float* weight = weights.mutable_data_ptr<float>() + offsets[static_cast<std::size_t>(row)];
      detail::multiply({.transpose_b = true, .m = queries, .n = keys, .k = d_model},
                       wide_q.const_data_ptr<float>() + first * d_model, d_model, states, d_model, raw, keys);
      std::copy_n(raw, queries * keys, weight);
      for (std::int64_t i = 0; i < queries; ++i)
        detail::kernels().softmax(one_query(setting, row, i % heads), weight + i * keys, log_sum + first + i,
                                  inverse + first + i);
      float* to = context_vectors.mutable_data_ptr<float>() + first * d_model;
      detail::multiply({.m = queries, .n = d_model, .k = keys}, weight, keys, states, d_model, to, d_model);
      detail::kernels().scale_rows(inverse + first, queries, d_model, d_model, to);
    });
    const at::Tensor out = out_of_model_space(context_vectors, wv);
    context->save_for_backward({q, encoder, wk, wv, out, scores, statistics, setting.key_mask});
    detail::save_setting(context, setting);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients);
};

// What backward needs of one row, and where its results go.
struct RowBackward {
  const float* wide_q;
  const float* dcontext;
  const float* states;
  const float* out;
  const float* dout;
  const float* log_sum;
  float* scores;  // become the masked weights
  float* slopes;
  float* dwide_q;
  float* dstates;  // or null
};

void backward_of_row(const CrossSetting& setting, std::int64_t row, std::int64_t d_model, std::int64_t width,
                     const RowBackward& at) {
  const std::int64_t heads = setting.heads;
  const std::int64_t queries = setting.decoder.length(row) * heads;
  const std::int64_t keys = setting.encoder.length(row);
  std::vector<float> delta(static_cast<std::size_t>(queries));
  detail::kernels().dot_rows(at.out, width, at.dout, width, queries, width, delta.data());
  detail::multiply({.transpose_b = true, .m = queries, .n = keys, .k = d_model}, at.dcontext, d_model,
                   at.states, d_model, at.slopes, keys);
  for (std::int64_t i = 0; i < queries; ++i)
    detail::kernels().softmax_backward(one_query(setting, row, i % heads), at.log_sum + i, delta.data() + i,
                                       at.scores + i * keys, at.slopes + i * keys);
  detail::multiply({.m = queries, .n = d_model, .k = keys}, at.slopes, keys, at.states, d_model, at.dwide_q,
                   d_model);
  if (!at.dstates) return;
  const detail::Product to_states = {.transpose_a = true, .m = keys, .n = d_model, .k = queries};
  detail::Product add_to_states = to_states;
  add_to_states.beta = 1.0f;
  if (queries == 0) std::fill_n(at.dstates, keys * d_model, 0.0f);
  detail::multiply(to_states, at.slopes, keys, at.wide_q, d_model, at.dstates, d_model);
  detail::multiply(add_to_states, at.scores, keys, at.dcontext, d_model, at.dstates, d_model);
}

variable_list AbsorbedAttention::backward(AutogradContext* context, variable_list gradients) {
  const variable_list saved = context->get_saved_variables();
  const at::Tensor &q = saved[0], &encoder = saved[1], &wk = saved[2], &wv = saved[3];
  const CrossSetting setting = detail::restored_setting(context, saved[7]);
  const at::Tensor dout = gradients[0].contiguous();
  const std::int64_t heads = setting.heads;
  const std::int64_t d_model = encoder.size(1);
  const std::int64_t inner = q.size(1);
  const at::Tensor wide_q = into_model_space(q, wk, heads);
  const at::Tensor dcontext = into_model_space(dout, wv, heads);
  const std::vector<std::int64_t> offsets = score_offsets(setting);
  const at::Tensor scores = saved[5].clone();
  const at::Tensor slopes = at::empty_like(scores);
  const at::Tensor dwide_q = at::empty_like(wide_q);
  at::Tensor dencoder;
  if (context->needs_input_grad(1)) dencoder = at::empty_like(encoder);
  detail::for_units(setting.decoder.rows(), [&](std::int64_t row, std::int64_t) {
    const std::int64_t token = setting.decoder.begin(row);
    const std::int64_t state = setting.encoder.begin(row) * d_model;
    const std::int64_t score = offsets[static_cast<std::size_t>(row)];
    const RowBackward at = {wide_q.const_data_ptr<float>() + token * heads * d_model,
                            dcontext.const_data_ptr<float>() + token * heads * d_model,
                            encoder.const_data_ptr<float>() + state,
                            saved[4].const_data_ptr<float>() + token * inner,
                            dout.const_data_ptr<float>() + token * inner,
                            saved[6].const_data_ptr<float>() + token * heads,
                            scores.mutable_data_ptr<float>() + score,
                            slopes.mutable_data_ptr<float>() + score,
                            dwide_q.mutable_data_ptr<float>() + token * heads * d_model,
                            dencoder.defined() ? dencoder.mutable_data_ptr<float>() + state : nullptr};
    backward_of_row(setting, row, d_model, inner / heads, at);
  });
  at::Tensor dq;
  if (context->needs_input_grad(0)) dq = out_of_model_space(dwide_q, wk);
  return {dq, dencoder, at::Tensor(), at::Tensor(), at::Tensor()};
}

}  // namespace

at::Tensor detail::cross_attention_absorbed(const at::Tensor& q, const at::Tensor& encoder,
                                            const at::Tensor& wk, const at::Tensor& wv,
                                            const RowLayout& decoder_layout, const RowLayout& encoder_layout,
                                            std::int64_t heads, const at::Tensor& key_mask) {
  TT_CHECK(!wk.requires_grad() && !wv.requires_grad(),
           "absorbed cross-attention has no gradient for its projections: take the projected path");
  const CrossSetting setting =
      checked_setting(q, encoder, wk, wv, decoder_layout, encoder_layout, heads, key_mask);
  if (!is_fused(q) || !is_fused(encoder) || !is_fused(wk) || !is_fused(wv))
    return cross_attention_projected(q, encoder, wk, wv, decoder_layout, encoder_layout, heads, key_mask);
  return AbsorbedAttention::apply(q, encoder, wk, wv, setting);
}

}  // namespace trimtab
