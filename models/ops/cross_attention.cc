// SPDX-License-Identifier: Apache-2.0
#include "models/ops/cross_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/ops/attention_core.h"
#include "models/ops/cross_setting.h"
#include "models/ops/device_attention.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using detail::CrossSetting;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

detail::HeadInput input_of(const CrossSetting& setting, std::int64_t unit, const at::Tensor& q,
                           const at::Tensor& k, const at::Tensor& v) {
  const std::int64_t row = unit / setting.heads;
  const std::int64_t head = unit % setting.heads;
  const std::int64_t inner = q.size(1);
  detail::HeadInput in = {};
  in.width = inner / setting.heads;
  in.queries = setting.decoder.length(row);
  in.keys = setting.encoder.length(row);
  const std::int64_t key_offset = setting.encoder.begin(row) * inner + head * in.width;
  in.q = {q.const_data_ptr<float>() + setting.decoder.begin(row) * inner + head * in.width, inner};
  in.k = {k.const_data_ptr<float>() + key_offset, inner};
  in.v = {v.const_data_ptr<float>() + key_offset, inner};
  const float* mask = detail::data_or_null(setting.key_mask);
  if (mask) in.key_mask = mask + head * setting.encoder.tokens() + setting.encoder.begin(row);
  return in;
}

// Attention of q to given keys and values.
class ProjectedAttention : public torch::autograd::Function<ProjectedAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_input, const at::Tensor& k_input,
                            const at::Tensor& v_input, const CrossSetting& setting) {
    const at::Tensor q = q_input.contiguous();
    const at::Tensor k = k_input.contiguous();
    const at::Tensor v = v_input.contiguous();
    const std::int64_t inner = q.size(1);
    const std::int64_t width = inner / setting.heads;
    at::Tensor out = at::empty_like(q);
    at::Tensor log_sum = at::empty({setting.heads, q.size(0)}, q.options());
    const std::int64_t space = detail::head_scratch(setting.decoder.longest(), setting.encoder.longest());
    const at::Tensor scratch = at::empty({at::get_num_threads(), space}, q.options());
    auto* to = out.mutable_data_ptr<float>();
    auto* sums = log_sum.mutable_data_ptr<float>();
    auto* spaces = scratch.mutable_data_ptr<float>();
    detail::for_units(setting.decoder.rows() * setting.heads, [&](std::int64_t unit, std::int64_t thread) {
      const std::int64_t first = setting.decoder.begin(unit / setting.heads);
      const std::int64_t head = unit % setting.heads;
      detail::head_forward(input_of(setting, unit, q, k, v), {to + first * inner + head * width, inner},
                           sums + head * q.size(0) + first, spaces + thread * space);
    });
    context->save_for_backward({q, k, v, out, log_sum, setting.key_mask});
    detail::save_setting(context, setting);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const CrossSetting setting = detail::restored_setting(context, saved[5]);
    const at::Tensor dout = gradients[0].contiguous();
    const std::int64_t inner = q.size(1);
    const std::int64_t width = inner / setting.heads;
    at::Tensor dq = at::empty_like(q);
    at::Tensor dk = at::empty_like(k);
    at::Tensor dv = at::empty_like(v);
    const std::int64_t space = detail::head_scratch(setting.decoder.longest(), setting.encoder.longest());
    const at::Tensor scratch = at::empty({at::get_num_threads(), space}, q.options());
    const auto* out = saved[3].const_data_ptr<float>();
    const auto* sums = saved[4].const_data_ptr<float>();
    const auto* slope = dout.const_data_ptr<float>();
    auto* to_q = dq.mutable_data_ptr<float>();
    auto* to_k = dk.mutable_data_ptr<float>();
    auto* to_v = dv.mutable_data_ptr<float>();
    auto* spaces = scratch.mutable_data_ptr<float>();
    detail::for_units(setting.decoder.rows() * setting.heads, [&](std::int64_t unit, std::int64_t thread) {
      const std::int64_t row = unit / setting.heads;
      const std::int64_t head = unit % setting.heads;
      const std::int64_t at = setting.decoder.begin(row) * inner + head * width;
      const std::int64_t key_at = setting.encoder.begin(row) * inner + head * width;
      const detail::HeadGradients to = {
          {to_q + at, inner}, {to_k + key_at, inner}, {to_v + key_at, inner}, nullptr, false};
      detail::head_backward(input_of(setting, unit, q, k, v), {out + at, inner}, {slope + at, inner},
                            sums + head * q.size(0) + setting.decoder.begin(row), to,
                            spaces + thread * space);
    });
    return {dq, dk, dv, at::Tensor()};
  }
};

void check_rows(const RowLayout& decoder, const RowLayout& encoder) {
  TT_CHECK(decoder.rows() == encoder.rows(), "{} decoder rows and {} encoder rows", decoder.rows(),
           encoder.rows());
}

// The number of pairs of a decoder and an encoder token of the same row.
double pairs_of(const RowLayout& decoder, const RowLayout& encoder) {
  check_rows(decoder, encoder);
  double pairs = 0.0;
  for (std::int64_t row = 0; row < decoder.rows(); ++row)
    pairs += static_cast<double>(decoder.length(row)) * static_cast<double>(encoder.length(row));
  return pairs;
}

// For keys of any kind.
CrossSetting setting_of(const at::Tensor& q, const RowLayout& decoder_layout, const RowLayout& key_layout,
                        std::int64_t heads, const at::Tensor& key_mask) {
  TT_CHECK(q.dim() == 2 && q.size(0) == decoder_layout.tokens(), "{} decoder tokens laid out as {}",
           q.size(0), decoder_layout.tokens());
  check_rows(decoder_layout, key_layout);
  TT_CHECK(q.size(1) % heads == 0, "a width of {} is not a multiple of {} heads", q.size(1), heads);
  for (std::int64_t row = 0; row < decoder_layout.rows(); ++row)
    TT_CHECK(key_layout.length(row) > 0 || decoder_layout.length(row) == 0,
             "row {} has {} decoder tokens and nothing to attend to", row, decoder_layout.length(row));
  const at::Tensor mask = detail::checked_mask(key_mask, key_layout.tokens(), heads, "cross-attention mask");
  return {decoder_layout, key_layout, heads, mask.defined() ? mask.t().contiguous() : mask};
}

}  // namespace

CrossSetting detail::checked_setting(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                                     const at::Tensor& wv, const RowLayout& decoder_layout,
                                     const RowLayout& encoder_layout, std::int64_t heads,
                                     const at::Tensor& key_mask) {
  TT_CHECK(encoder.dim() == 2 && encoder.size(0) == encoder_layout.tokens(),
           "{} encoder tokens laid out as {}", encoder.size(0), encoder_layout.tokens());
  for (const at::Tensor* weight : {&wk, &wv})
    TT_CHECK(weight->dim() == 2 && weight->size(0) == q.size(1) && weight->size(1) == encoder.size(1),
             "a projection of {} numbers, expected [{}, {}]", weight->numel(), q.size(1), encoder.size(1));
  return setting_of(q, decoder_layout, encoder_layout, heads, key_mask);
}

void detail::save_setting(AutogradContext* context, const CrossSetting& setting) {
  context->saved_data["decoder"] = lengths_of(setting.decoder);
  context->saved_data["encoder"] = lengths_of(setting.encoder);
  context->saved_data["heads"] = setting.heads;
}

CrossSetting detail::restored_setting(AutogradContext* context, const at::Tensor& key_mask) {
  return {RowLayout(context->saved_data["decoder"].toIntVector()),
          RowLayout(context->saved_data["encoder"].toIntVector()), context->saved_data["heads"].toInt(),
          key_mask};
}

double detail::projected_cost(const RowLayout& decoder, const RowLayout& encoder, std::int64_t inner,
                              std::int64_t d_model) {
  const auto wide = static_cast<double>(inner);
  return 2.0 * wide * (static_cast<double>(encoder.tokens() * d_model) + pairs_of(decoder, encoder));
}

double detail::absorbed_cost(const RowLayout& decoder, const RowLayout& encoder, std::int64_t inner,
                             std::int64_t d_model, std::int64_t heads) {
  const double per_query = static_cast<double>(inner * decoder.tokens());
  const double per_pair = static_cast<double>(heads) * pairs_of(decoder, encoder);
  return 2.0 * static_cast<double>(d_model) * (per_query + per_pair);
}

at::Tensor cross_attention(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                           const at::Tensor& wv, const RowLayout& decoder_layout,
                           const RowLayout& encoder_layout, std::int64_t heads, const at::Tensor& key_mask) {
  const std::int64_t inner = q.size(-1);
  const std::int64_t d_model = encoder.size(-1);
  const bool few = detail::absorbed_cost(decoder_layout, encoder_layout, inner, d_model, heads) <
                   detail::projected_cost(decoder_layout, encoder_layout, inner, d_model);
  if (few && !wk.requires_grad() && !wv.requires_grad())
    return detail::cross_attention_absorbed(q, encoder, wk, wv, decoder_layout, encoder_layout, heads,
                                            key_mask);
  return detail::cross_attention_projected(q, encoder, wk, wv, decoder_layout, encoder_layout, heads,
                                           key_mask);
}

at::Tensor attend_to_keys(const at::Tensor& q, const KeysAndValues& seen, const RowLayout& decoder_layout,
                          std::int64_t heads, const at::Tensor& key_mask) {
  const CrossSetting setting = setting_of(q, decoder_layout, seen.layout, heads, key_mask);
  for (const at::Tensor* x : {&seen.keys, &seen.values})
    TT_CHECK(x->dim() == 2 && x->size(0) == seen.layout.tokens() && x->size(1) == q.size(1),
             "keys or values of {} numbers, expected [{}, {}]", x->numel(), seen.layout.tokens(), q.size(1));
  if (detail::has_device_attention(q, q.size(1) / heads))
    return detail::device_attention({q,
                                     seen.keys,
                                     seen.values,
                                     decoder_layout,
                                     seen.layout,
                                     {heads, heads, 1.0},
                                     false,
                                     {},
                                     {},
                                     key_mask});
  if (!detail::is_fused(q) || !detail::is_fused(seen.keys) || !detail::is_fused(seen.values))
    return detail::attend_to_keys_reference(q, seen, decoder_layout, heads, key_mask);
  return ProjectedAttention::apply(q, seen.keys, seen.values, setting);
}

at::Tensor detail::cross_attention_projected(const at::Tensor& q, const at::Tensor& encoder,
                                             const at::Tensor& wk, const at::Tensor& wv,
                                             const RowLayout& decoder_layout, const RowLayout& encoder_layout,
                                             std::int64_t heads, const at::Tensor& key_mask) {
  const CrossSetting setting =
      checked_setting(q, encoder, wk, wv, decoder_layout, encoder_layout, heads, key_mask);
  if (has_device_attention(q, q.size(1) / heads))
    return attend_to_keys(q, {at::matmul(encoder, wk.t()), at::matmul(encoder, wv.t()), encoder_layout},
                          decoder_layout, heads, key_mask);
  if (!is_fused(q) || !is_fused(encoder) || !is_fused(wk) || !is_fused(wv))
    return cross_attention_reference(q, encoder, wk, wv, decoder_layout, encoder_layout, heads, key_mask);
  return ProjectedAttention::apply(q, at::matmul(encoder, wk.t()), at::matmul(encoder, wv.t()), setting);
}

}  // namespace trimtab
