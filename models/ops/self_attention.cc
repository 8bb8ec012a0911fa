// SPDX-License-Identifier: Apache-2.0
#include "models/ops/self_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "models/ops/attention_core.h"
#include "models/ops/device_attention.h"
#include "models/ops/kernels.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What does not take part in autograd.
struct SelfAttentionSetting {
  AttentionHeads heads;
  RelativeBias bias;
  std::vector<std::int64_t> lengths;
  at::Tensor key_mask;  // [heads, tokens] or undefined
  RotaryAngles rotary;  // of positions; undefined: nothing turns
};

// The columns [queries | keys | values] of a token.
struct Columns {
  explicit Columns(const AttentionHeads& heads, std::int64_t width)
      : head_dim(width / (heads.queries + 2 * heads.keys)),
        k(heads.queries * head_dim),
        v(k + heads.keys * head_dim),
        total(width) {}
  std::int64_t head_dim, k, v, total;
};

// One (row, head of keys) of the work, with the heads of queries that it serves: where its matrices lie.
class Units {
 public:
  Units(const at::Tensor& qkv, const at::Tensor& distance_bias, const SelfAttentionSetting& setting,
        const RowLayout& layout)
      : layout_(layout),
        heads_(setting.heads),
        columns_(setting.heads, qkv.size(1)),
        longest_(layout.longest()),
        causal_(setting.bias.causal),
        qkv_(qkv.const_data_ptr<float>()),
        bias_(detail::data_or_null(distance_bias)),
        key_mask_(detail::data_or_null(setting.key_mask)),
        cos_(detail::data_or_null(setting.rotary.cos)),
        sin_(detail::data_or_null(setting.rotary.sin)),
        interleaved_(setting.rotary.interleaved) {}

  std::int64_t count() const { return layout_.rows() * heads_.keys; }
  std::int64_t group() const { return heads_.queries / heads_.keys; }
  std::int64_t row(std::int64_t unit) const { return unit / heads_.keys; }
  std::int64_t key_head(std::int64_t unit) const { return unit % heads_.keys; }
  std::int64_t head(std::int64_t unit, std::int64_t member) const {
    return key_head(unit) * group() + member;
  }
  std::int64_t first(std::int64_t unit) const { return layout_.begin(row(unit)); }
  std::int64_t length(std::int64_t unit) const { return layout_.length(row(unit)); }
  std::int64_t longest() const { return longest_; }
  std::int64_t inner() const { return columns_.k; }
  std::int64_t head_dim() const { return columns_.head_dim; }
  bool turns() const { return cos_ != nullptr; }
  // Floats of a thread: turned queries and keys, then what a head needs.
  std::int64_t scratch() const {
    return detail::head_scratch(longest_, longest_) + (turns() ? 2 * longest_ * head_dim() : 0);
  }

  // Offsets in a tensor of the shape of qkv, and in one of the shape of the result.
  std::int64_t q_at(std::int64_t unit, std::int64_t member) const {
    return first(unit) * columns_.total + head(unit, member) * head_dim();
  }
  std::int64_t k_at(std::int64_t unit) const {
    return first(unit) * columns_.total + columns_.k + key_head(unit) * head_dim();
  }
  std::int64_t v_at(std::int64_t unit) const {
    return first(unit) * columns_.total + columns_.v + key_head(unit) * head_dim();
  }
  std::int64_t out_at(std::int64_t unit, std::int64_t member) const {
    return first(unit) * inner() + head(unit, member) * head_dim();
  }
  std::int64_t ld() const { return columns_.total; }

  // Keys, values and whatever all heads of the group share. `space` as scratch(); turned keys are made there.
  detail::HeadInput shared_input(std::int64_t unit, float* space) const {
    detail::HeadInput in = {};
    in.k = turned(qkv_ + k_at(unit), length(unit), 1.0F, space);
    in.v = {qkv_ + v_at(unit), ld()};
    in.queries = in.keys = length(unit);
    in.width = head_dim();
    in.causal = causal_;
    return in;
  }
  void set_member(detail::HeadInput& in, std::int64_t unit, std::int64_t member, float* space) const {
    const std::int64_t head = this->head(unit, member);
    in.q = turned(qkv_ + q_at(unit, member), in.queries, static_cast<float>(heads_.scale),
                  space + longest_ * head_dim());
    if (bias_) in.bias = bias_ + head * (2 * longest_ - 1) + longest_ - 1;
    if (key_mask_) in.key_mask = key_mask_ + head * layout_.tokens() + first(unit);
  }
  float* head_space(float* space) const { return turns() ? space + 2 * longest_ * head_dim() : space; }

  // Gradients of turned and scaled columns -> of those that came in.
  void turn_back(std::int64_t unit, float factor, float* gradient) const {
    if (!turns()) return;
    const detail::Rotation back = {cos_, sin_, head_dim() / 2, factor, interleaved_, true};
    detail::kernels().rotate(back, gradient, ld(), length(unit), gradient, ld());
  }

 private:
  detail::HeadView turned(const float* x, std::int64_t tokens, float factor, float* space) const {
    if (!turns()) return {x, ld()};
    const detail::Rotation forth = {cos_, sin_, head_dim() / 2, factor, interleaved_, false};
    detail::kernels().rotate(forth, x, ld(), tokens, space, head_dim());
    return {space, head_dim()};
  }

  const RowLayout& layout_;
  AttentionHeads heads_;
  Columns columns_;
  std::int64_t longest_;
  bool causal_;
  const float* qkv_;
  const float* bias_;
  const float* key_mask_;
  const float* cos_;
  const float* sin_;
  bool interleaved_;
};

void save(AutogradContext* context, const SelfAttentionSetting& setting) {
  context->saved_data["lengths"] = setting.lengths;
  context->saved_data["heads"] = std::vector<std::int64_t>{setting.heads.queries, setting.heads.keys};
  context->saved_data["scale"] = setting.heads.scale;
  context->saved_data["interleaved"] = setting.rotary.interleaved;
  context->saved_data["bias"] = std::vector<std::int64_t>{setting.bias.buckets, setting.bias.max_distance,
                                                          setting.bias.bidirectional, setting.bias.causal};
}

SelfAttentionSetting restored(AutogradContext* context, const at::Tensor& key_mask, const at::Tensor& cos,
                              const at::Tensor& sin) {
  const std::vector<std::int64_t> heads = context->saved_data["heads"].toIntVector();
  const std::vector<std::int64_t> bias = context->saved_data["bias"].toIntVector();
  return {{heads[0], heads[1], context->saved_data["scale"].toDouble()},
          {bias[0], bias[1], bias[2] != 0, bias[3] != 0},
          context->saved_data["lengths"].toIntVector(),
          key_mask,
          {cos, sin, context->saved_data["interleaved"].toBool()}};
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
    at::Tensor log_sum = at::empty({setting.heads.queries, qkv.size(0)}, qkv.options());
    float* to = out.mutable_data_ptr<float>();
    float* sums = log_sum.mutable_data_ptr<float>();
    const at::Tensor scratch = at::empty({at::get_num_threads(), units.scratch()}, qkv.options());
    float* spaces = scratch.mutable_data_ptr<float>();
    detail::for_units(units.count(), [&](std::int64_t unit, std::int64_t thread) {
      float* space = spaces + thread * units.scratch();
      detail::HeadInput in = units.shared_input(unit, space);
      for (std::int64_t member = 0; member < units.group(); ++member) {
        units.set_member(in, unit, member, space);
        detail::head_forward(in, {to + units.out_at(unit, member), units.inner()},
                             sums + units.head(unit, member) * layout.tokens() + units.first(unit),
                             units.head_space(space));
      }
    });
    context->save_for_backward(
        {qkv, out, log_sum, distance_bias, setting.key_mask, setting.rotary.cos, setting.rotary.sin});
    save(context, setting);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const SelfAttentionSetting setting = restored(context, saved[4], saved[5], saved[6]);
    const at::Tensor& qkv = saved[0];
    const RowLayout layout(setting.lengths);
    const Units units(qkv, saved[3], setting, layout);
    const at::Tensor dout = gradients[0].contiguous();
    at::Tensor dqkv = at::empty_like(qkv);
    at::Tensor by_distance;
    const bool wants_bias = saved[3].defined() && context->needs_input_grad(1);
    const std::int64_t distances = 2 * units.longest() - 1;
    if (wants_bias) by_distance = at::zeros({layout.rows(), setting.heads.queries, distances}, qkv.options());
    const float* out = saved[1].const_data_ptr<float>();
    const float* slope = dout.const_data_ptr<float>();
    const float* sums = saved[2].const_data_ptr<float>();
    float* to = dqkv.mutable_data_ptr<float>();
    float* dbias = wants_bias ? by_distance.mutable_data_ptr<float>() : nullptr;
    const at::Tensor scratch = at::empty({at::get_num_threads(), units.scratch()}, qkv.options());
    float* spaces = scratch.mutable_data_ptr<float>();
    detail::for_units(units.count(), [&](std::int64_t unit, std::int64_t thread) {
      float* space = spaces + thread * units.scratch();
      detail::HeadInput in = units.shared_input(unit, space);
      detail::HeadGradients to_unit = {};
      to_unit.dk = {to + units.k_at(unit), units.ld()};
      to_unit.dv = {to + units.v_at(unit), units.ld()};
      for (std::int64_t member = 0; member < units.group(); ++member) {
        const std::int64_t head = units.head(unit, member), at = units.out_at(unit, member);
        units.set_member(in, unit, member, space);
        to_unit.dq = {to + units.q_at(unit, member), units.ld()};
        if (dbias)
          to_unit.dbias =
              dbias + (units.row(unit) * setting.heads.queries + head) * distances + units.longest() - 1;
        detail::head_backward(in, {out + at, units.inner()}, {slope + at, units.inner()},
                              sums + head * layout.tokens() + units.first(unit), to_unit,
                              units.head_space(space));
        to_unit.adds_to_keys = true;
        units.turn_back(unit, static_cast<float>(setting.heads.scale), to_unit.dq.data);
      }
      units.turn_back(unit, 1.0F, to_unit.dk.data);
    });
    at::Tensor dtable;
    if (wants_bias) dtable = detail::bias_table_gradient(by_distance, setting.bias, units.longest());
    return {dqkv, dtable, at::Tensor()};
  }
};

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& bias_table, const RelativeBias& bias,
                          const RowLayout& layout, std::int64_t heads, const at::Tensor& key_mask) {
  TT_CHECK(qkv.dim() == 2 && qkv.size(0) == layout.tokens(), "{} tokens laid out as {}", qkv.size(0),
           layout.tokens());
  TT_CHECK(qkv.size(1) % (3 * heads) == 0, "a width of {} is not 3 times {} heads", qkv.size(1), heads);
  TT_CHECK(!bias_table.defined() ||
               (bias_table.dim() == 2 && bias_table.size(0) == bias.buckets && bias_table.size(1) == heads),
           "a bias table of {} numbers for {} buckets and {} heads", bias_table.numel(), bias.buckets, heads);
  const at::Tensor mask = detail::checked_mask(key_mask, layout.tokens(), heads, "attention mask");
  if (detail::has_device_attention(qkv, qkv.size(1) / (3 * heads), bias.buckets))
    return detail::device_attention(
        {qkv, {}, {}, layout, layout, {heads, heads, 1.0}, bias.causal, bias_table, bias, mask});
  if (!detail::is_fused(qkv) || (bias_table.defined() && !detail::is_fused(bias_table)))
    return detail::self_attention_reference(qkv, bias_table, bias, layout, heads, mask);
  const SelfAttentionSetting setting = {{heads, heads, 1.0},
                                        bias,
                                        detail::lengths_of(layout),
                                        mask.defined() ? mask.t().contiguous() : mask,
                                        {}};
  const auto table = bias_table.defined() ? std::optional<at::Tensor>(bias_table) : std::nullopt;
  return SelfAttention::apply(qkv, table, setting);
}

at::Tensor causal_attention(const at::Tensor& qkv, const AttentionHeads& heads, const RotaryAngles& rotary,
                            const RowLayout& layout) {
  TT_CHECK(qkv.dim() == 2 && qkv.size(0) == layout.tokens(), "{} tokens laid out as {}", qkv.size(0),
           layout.tokens());
  TT_CHECK(heads.queries % heads.keys == 0 && qkv.size(1) % (heads.queries + 2 * heads.keys) == 0,
           "a width of {} for {} heads of queries and {} of keys and of values", qkv.size(1), heads.queries,
           heads.keys);
  const std::int64_t head_dim = qkv.size(1) / (heads.queries + 2 * heads.keys);
  TT_CHECK(rotary.cos.size(0) >= layout.longest() && 2 * rotary.cos.size(1) == head_dim,
           "angles [{}, {}] for rows of {} and a head of {}", rotary.cos.size(0), rotary.cos.size(1),
           layout.longest(), head_dim);
  if (detail::has_device_attention(qkv, head_dim))
    return detail::causal_attention_on_device(qkv, heads, rotary, layout);
  if (!detail::is_fused(qkv)) return detail::causal_attention_reference(qkv, heads, rotary, layout);
  RelativeBias causal;
  causal.causal = true;
  const SelfAttentionSetting setting = {heads, causal, detail::lengths_of(layout), {}, rotary};
  return SelfAttention::apply(qkv, std::optional<at::Tensor>(), setting);
}

}  // namespace trimtab
