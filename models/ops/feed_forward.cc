// SPDX-License-Identifier: Apache-2.0
#include "models/ops/feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/ops/dropout.h"
#include "models/ops/kernels.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The activations by which one half is multiplied with the other.
struct Gelu {
  static constexpr auto kForward = &detail::Kernels::gated_gelu;
  static constexpr auto kBackward = &detail::Kernels::gated_gelu_backward;
};
struct Silu {
  static constexpr auto kForward = &detail::Kernels::gated_silu;
  static constexpr auto kBackward = &detail::Kernels::gated_silu_backward;
};

template <class Gate>
class Gated : public torch::autograd::Function<Gated<Gate>> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& ab_input,
                            const detail::MaskedRows& rows) {
    const auto& [mask, layout] = rows;
    const at::Tensor ab = ab_input.contiguous();
    const std::int64_t ff = ab.size(1) / 2;
    at::Tensor out = at::empty({ab.size(0), ff}, ab.options());
    const float* from = ab.const_data_ptr<float>();
    const float* factor = detail::data_or_null(mask);
    float* to = out.mutable_data_ptr<float>();
    detail::for_tokens(layout, ff, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
      (detail::kernels().*Gate::kForward)(from + token * 2 * ff, factor ? factor + row * ff : nullptr, tokens,
                                          ff, to + token * ff);
    });
    context->save_for_backward({ab, mask});
    context->saved_data["lengths"] = detail::lengths_of(layout);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dout = gradients[0].contiguous();
    const std::int64_t ff = dout.size(1);
    at::Tensor dab = at::empty_like(saved[0]);
    const float* slope = dout.const_data_ptr<float>();
    const float* from = saved[0].const_data_ptr<float>();
    const float* factor = detail::data_or_null(saved[1]);
    float* to = dab.mutable_data_ptr<float>();
    const RowLayout layout(context->saved_data["lengths"].toIntVector());
    detail::for_tokens(layout, ff, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
      (detail::kernels().*Gate::kBackward)(slope + token * ff, from + token * 2 * ff,
                                           factor ? factor + row * ff : nullptr, tokens, ff,
                                           to + token * 2 * ff);
    });
    return {dab, at::Tensor()};
  }
};

class ReluDropout : public torch::autograd::Function<ReluDropout> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_input,
                            const detail::MaskedRows& rows) {
    const auto& [mask, layout] = rows;
    const at::Tensor x = x_input.contiguous();
    const std::int64_t width = x.size(1);
    at::Tensor y = at::empty_like(x);
    const float* from = x.const_data_ptr<float>();
    const float* factor = detail::data_or_null(mask);
    float* to = y.mutable_data_ptr<float>();
    detail::for_tokens(layout, width, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
      detail::kernels().relu(from + token * width, factor ? factor + row * width : nullptr, tokens, width,
                             to + token * width);
    });
    context->save_for_backward({x, mask});
    context->saved_data["lengths"] = detail::lengths_of(layout);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    const std::int64_t width = dy.size(1);
    at::Tensor dx = at::empty_like(dy);
    const float* slope = dy.const_data_ptr<float>();
    const float* x = saved[0].const_data_ptr<float>();
    const float* factor = detail::data_or_null(saved[1]);
    float* to = dx.mutable_data_ptr<float>();
    const RowLayout layout(context->saved_data["lengths"].toIntVector());
    detail::for_tokens(layout, width, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
      const std::int64_t at = token * width;
      detail::kernels().relu_backward(slope + at, x + at, factor ? factor + row * width : nullptr, tokens,
                                      width, to + at);
    });
    return {dx, at::Tensor()};
  }
};

// The mask, checked; ab is [tokens, 2 * ff].
at::Tensor checked_gate(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout) {
  TT_CHECK(ab.dim() == 2 && ab.size(1) % 2 == 0 && ab.size(0) == layout.tokens(),
           "{} tokens laid out as {}, width {} of two halves", ab.size(0), layout.tokens(), ab.size(-1));
  return detail::checked_mask(mask_rf, layout.rows(), ab.size(1) / 2, "feed-forward mask");
}

}  // namespace

at::Tensor gated_gelu(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout) {
  const at::Tensor mask = checked_gate(ab, mask_rf, layout);
  if (!detail::is_fused(ab)) return detail::gated_gelu_reference(ab, mask, layout);
  return Gated<Gelu>::apply(ab, detail::MaskedRows{mask, layout});
}

at::Tensor gated_silu(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout) {
  const at::Tensor mask = checked_gate(ab, mask_rf, layout);
  if (!detail::is_fused(ab)) return detail::gated_silu_reference(ab, mask, layout);
  return Gated<Silu>::apply(ab, detail::MaskedRows{mask, layout});
}

at::Tensor relu_dropout(const at::Tensor& x_tf, const at::Tensor& mask_rf, const RowLayout& layout) {
  TT_CHECK(x_tf.dim() == 2 && x_tf.size(0) == layout.tokens(), "{} tokens laid out as {}", x_tf.size(0),
           layout.tokens());
  const at::Tensor mask = detail::checked_mask(mask_rf, layout.rows(), x_tf.size(1), "feed-forward mask");
  if (!detail::is_fused(x_tf)) return detail::relu_dropout_reference(x_tf, mask, layout);
  return ReluDropout::apply(x_tf, detail::MaskedRows{mask, layout});
}

at::Tensor detail::gated_gelu_reference(const at::Tensor& ab, const at::Tensor& mask_rf,
                                        const RowLayout& layout) {
  const std::vector<at::Tensor> halves = ab.chunk(2, -1);
  return dropout_rows_reference(at::gelu(halves[0], "tanh") * halves[1], mask_rf, layout);
}

at::Tensor detail::gated_silu_reference(const at::Tensor& ab, const at::Tensor& mask_rf,
                                        const RowLayout& layout) {
  const std::vector<at::Tensor> halves = ab.chunk(2, -1);
  return dropout_rows_reference(at::silu(halves[0]) * halves[1], mask_rf, layout);
}

at::Tensor detail::relu_dropout_reference(const at::Tensor& x_tf, const at::Tensor& mask_rf,
                                          const RowLayout& layout) {
  return dropout_rows_reference(at::relu(x_tf), mask_rf, layout);
}

}  // namespace trimtab
