// SPDX-License-Identifier: Apache-2.0
#include "models/ops/self_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

#include "models/ops/attention_core.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What does not take part in autograd.
struct SelfAttentionSetting {
  RelativeBias bias;
  std::vector<std::int64_t> lengths;
  std::int64_t heads;
  at::Tensor key_mask;  // [heads, tokens] or undefined
};

// One (row, head) of the work: where its matrices lie.
class Units {
 public:
  Units(const at::Tensor& qkv, const at::Tensor& distance_bias, const SelfAttentionSetting& setting,
        const RowLayout& layout)
      : layout_(layout),
        heads_(setting.heads),
        inner_(qkv.size(1) / 3),
        longest_(layout.longest()),
        causal_(setting.bias.causal),
        qkv_(qkv.const_data_ptr<float>()),
        bias_(detail::data_or_null(distance_bias)),
        key_mask_(detail::data_or_null(setting.key_mask)) {}

  std::int64_t count() const { return layout_.rows() * heads_; }
  std::int64_t scratch() const { return detail::head_scratch(longest_, longest_); }
  std::int64_t row(std::int64_t unit) const { return unit / heads_; }
  std::int64_t head(std::int64_t unit) const { return unit % heads_; }
  std::int64_t first(std::int64_t unit) const { return layout_.begin(row(unit)); }
  std::int64_t inner() const { return inner_; }
  std::int64_t longest() const { return longest_; }
  std::int64_t width() const { return inner_ / heads_; }
  // Offset of the unit in a tensor with `parts` blocks of inner columns, in block `part`.
  std::int64_t offset(std::int64_t unit, std::int64_t parts, std::int64_t part) const {
    return (first(unit) * parts + part) * inner_ + head(unit) * width();
  }

  detail::HeadInput input(std::int64_t unit) const {
    detail::HeadInput in = {};
    const std::int64_t ld = 3 * inner_;
    in.q = {qkv_ + offset(unit, 3, 0), ld};
    in.k = {qkv_ + offset(unit, 3, 1), ld};
    in.v = {qkv_ + offset(unit, 3, 2), ld};
    in.queries = in.keys = layout_.length(row(unit));
    in.width = width();
    in.causal = causal_;
    if (bias_) in.bias = bias_ + head(unit) * (2 * longest_ - 1) + longest_ - 1;
    if (key_mask_) in.key_mask = key_mask_ + head(unit) * layout_.tokens() + first(unit);
    return in;
  }

 private:
  const RowLayout& layout_;
  std::int64_t heads_;
  std::int64_t inner_;
  std::int64_t longest_;
  bool causal_;
  const float* qkv_;
  const float* bias_;
  const float* key_mask_;
};

// Gradients by (row, head, distance) -> of the table [buckets, heads], rows summed in order.
at::Tensor table_gradient(const at::Tensor& by_distance, const RelativeBias& bias, std::int64_t longest) {
  const std::int64_t rows = by_distance.size(0);
  const std::int64_t heads = by_distance.size(1);
  const std::int64_t distances = by_distance.size(2);
  at::Tensor gradient = at::zeros({bias.buckets, heads}, by_distance.options());
  const float* from = by_distance.const_data_ptr<float>();
  float* to = gradient.mutable_data_ptr<float>();
  std::vector<std::int64_t> buckets(static_cast<std::size_t>(distances));
  for (std::int64_t d = 0; d < distances; ++d)
    buckets[static_cast<std::size_t>(d)] = relative_bucket(d - (longest - 1), bias);
  detail::for_units(heads, [&](std::int64_t head, std::int64_t) {
    std::vector<double> sums(static_cast<std::size_t>(bias.buckets), 0.0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t d = 0; d < distances; ++d)
        sums[static_cast<std::size_t>(buckets[static_cast<std::size_t>(d)])] +=
            from[(row * heads + head) * distances + d];
    for (std::int64_t b = 0; b < bias.buckets; ++b)
      to[b * heads + head] = static_cast<float>(sums[static_cast<std::size_t>(b)]);
  });
  return gradient;
}

class SelfAttention : public torch::autograd::Function<SelfAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv_input,
                            const std::optional<at::Tensor>& bias_table,
                            const SelfAttentionSetting& setting) {
    const at::Tensor qkv = qkv_input.contiguous();
    const RowLayout layout(setting.lengths);
    at::Tensor distance_bias;
    if (bias_table.has_value() && layout.tokens() > 0)
      distance_bias = detail::bias_by_distance(*bias_table, setting.bias, layout.longest());
    const Units units(qkv, distance_bias, setting, layout);
    at::Tensor out = at::empty({qkv.size(0), units.inner()}, qkv.options());
    at::Tensor log_sum = at::empty({setting.heads, qkv.size(0)}, qkv.options());
    float* to = out.mutable_data_ptr<float>();
    float* sums = log_sum.mutable_data_ptr<float>();
    const at::Tensor scratch = at::empty({at::get_num_threads(), units.scratch()}, qkv.options());
    float* space = scratch.mutable_data_ptr<float>();
    detail::for_units(units.count(), [&](std::int64_t unit, std::int64_t thread) {
      detail::head_forward(units.input(unit), {to + units.offset(unit, 1, 0), units.inner()},
                           sums + units.head(unit) * layout.tokens() + units.first(unit),
                           space + thread * units.scratch());
    });
    context->save_for_backward({qkv, out, log_sum, distance_bias, setting.key_mask});
    context->saved_data["lengths"] = setting.lengths;
    context->saved_data["heads"] = setting.heads;
    context->saved_data["bias"] = std::vector<std::int64_t>{setting.bias.buckets, setting.bias.max_distance,
                                                            setting.bias.bidirectional, setting.bias.causal};
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const std::vector<std::int64_t> numbers = context->saved_data["bias"].toIntVector();
    SelfAttentionSetting setting = {{numbers[0], numbers[1], numbers[2] != 0, numbers[3] != 0},
                                    context->saved_data["lengths"].toIntVector(),
                                    context->saved_data["heads"].toInt(),
                                    saved[4]};
    const at::Tensor& qkv = saved[0];
    const RowLayout layout(setting.lengths);
    const Units units(qkv, saved[3], setting, layout);
    const at::Tensor dout = gradients[0].contiguous();
    at::Tensor dqkv = at::empty_like(qkv);
    at::Tensor by_distance;
    const bool wants_bias = saved[3].defined() && context->needs_input_grad(1);
    const std::int64_t distances = 2 * units.longest() - 1;
    if (wants_bias) by_distance = at::zeros({layout.rows(), setting.heads, distances}, qkv.options());
    const float* out = saved[1].const_data_ptr<float>();
    const float* slope = dout.const_data_ptr<float>();
    const float* sums = saved[2].const_data_ptr<float>();
    float* to = dqkv.mutable_data_ptr<float>();
    float* dbias = wants_bias ? by_distance.mutable_data_ptr<float>() : nullptr;
    const at::Tensor scratch = at::empty({at::get_num_threads(), units.scratch()}, qkv.options());
    float* space = scratch.mutable_data_ptr<float>();
    detail::for_units(units.count(), [&](std::int64_t unit, std::int64_t thread) {
      const std::int64_t inner = units.inner();
      const std::int64_t at = units.offset(unit, 1, 0);
      const detail::HeadGradients to_unit = {
          {to + units.offset(unit, 3, 0), 3 * inner},
          {to + units.offset(unit, 3, 1), 3 * inner},
          {to + units.offset(unit, 3, 2), 3 * inner},
          dbias ? dbias + unit * distances + units.longest() - 1 : nullptr};
      detail::head_backward(units.input(unit), {out + at, inner}, {slope + at, inner},
                            sums + units.head(unit) * layout.tokens() + units.first(unit), to_unit,
                            space + thread * units.scratch());
    });
    at::Tensor dtable;
    if (wants_bias) dtable = table_gradient(by_distance, setting.bias, units.longest());
    return {dqkv, dtable, at::Tensor()};
  }
};

}  // namespace

at::Tensor detail::bias_by_distance(const at::Tensor& table, const RelativeBias& bias, std::int64_t longest) {
  const at::Tensor dense = table.contiguous();
  const std::int64_t heads = dense.size(1);
  const std::int64_t distances = 2 * longest - 1;
  at::Tensor values = at::empty({heads, distances}, dense.options());
  const float* from = dense.const_data_ptr<float>();
  float* to = values.mutable_data_ptr<float>();
  for (std::int64_t d = 0; d < distances; ++d) {
    const std::int64_t bucket = relative_bucket(d - (longest - 1), bias);
    for (std::int64_t head = 0; head < heads; ++head) to[head * distances + d] = from[bucket * heads + head];
  }
  return values;
}

std::int64_t relative_bucket(std::int64_t distance, const RelativeBias& bias) {
  std::int64_t buckets = bias.buckets;
  std::int64_t first = 0;
  std::int64_t steps = -distance;
  if (bias.bidirectional) {
    buckets /= 2;
    if (distance > 0) first = buckets;
    steps = std::abs(distance);
  }
  steps = std::max<std::int64_t>(steps, 0);
  const std::int64_t exact = buckets / 2;
  if (steps < exact) return first + steps;
  const float ratio =
      std::log(static_cast<float>(steps) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(bias.max_distance) / static_cast<double>(exact)));
  const auto further = static_cast<std::int64_t>(ratio * static_cast<float>(buckets - exact));
  return first + std::min(exact + further, buckets - 1);
}

at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& bias_table, const RelativeBias& bias,
                          const RowLayout& layout, std::int64_t heads, const at::Tensor& key_mask) {
  TT_CHECK(qkv.dim() == 2 && qkv.size(0) == layout.tokens(), "{} tokens laid out as {}", qkv.size(0),
           layout.tokens());
  TT_CHECK(qkv.size(1) % (3 * heads) == 0, "a width of {} is not 3 times {} heads", qkv.size(1), heads);
  TT_CHECK(!bias_table.defined() ||
               (bias_table.dim() == 2 && bias_table.size(0) == bias.buckets && bias_table.size(1) == heads),
           "a bias table of {} numbers for {} buckets and {} heads", bias_table.numel(), bias.buckets, heads);
  const at::Tensor mask = detail::checked_mask(key_mask, layout.tokens(), heads, "attention mask");
  if (!detail::is_fused(qkv) || (bias_table.defined() && !detail::is_fused(bias_table)))
    return detail::self_attention_reference(qkv, bias_table, bias, layout, heads, mask);
  const SelfAttentionSetting setting = {bias, detail::lengths_of(layout), heads,
                                        mask.defined() ? mask.t().contiguous() : mask};
  const auto table = bias_table.defined() ? std::optional<at::Tensor>(bias_table) : std::nullopt;
  return SelfAttention::apply(qkv, table, setting);
}

}  // namespace trimtab
