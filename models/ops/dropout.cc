// SPDX-License-Identifier: Apache-2.0
#include "models/ops/dropout.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "models/ops/kernels.h"
#include "models/ops/op_support.h"
#include "parallel/upload.h"
#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor scaled(const at::Tensor& x_td, const at::Tensor& mask, const RowLayout& layout) {
  const at::Tensor x = x_td.contiguous();
  const std::int64_t width = x.size(1);
  at::Tensor y = at::empty_like(x);
  const float* from = x.const_data_ptr<float>();
  const float* factor = mask.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  detail::for_tokens(layout, width, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
    detail::kernels().scale(from + token * width, factor + row * width, tokens, width, to + token * width);
  });
  return y;
}

RowLayout saved_layout(AutogradContext* context) {
  return RowLayout(context->saved_data["lengths"].toIntVector());
}

class DropoutRows : public torch::autograd::Function<DropoutRows> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_td,
                            const detail::MaskedRows& rows) {
    const auto& [mask, layout] = rows;
    context->save_for_backward({mask});
    context->saved_data["lengths"] = detail::lengths_of(layout);
    return scaled(x_td, mask, layout);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor mask = context->get_saved_variables()[0];
    return {scaled(gradients[0], mask, saved_layout(context)), at::Tensor()};
  }
};

class AddDropout : public torch::autograd::Function<AddDropout> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual_td, const at::Tensor& x_td,
                            const detail::MaskedRows& rows) {
    const auto& [mask, layout] = rows;
    const at::Tensor residual = residual_td.contiguous();
    const at::Tensor x = x_td.contiguous();
    const std::int64_t width = x.size(1);
    at::Tensor y = at::empty_like(x);
    const float* base = residual.const_data_ptr<float>();
    const float* from = x.const_data_ptr<float>();
    const float* factor = mask.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    detail::for_tokens(layout, width, [&](std::int64_t token, std::int64_t tokens, std::int64_t row) {
      const std::int64_t at = token * width;
      detail::kernels().add_scaled(base + at, from + at, factor + row * width, tokens, width, to + at);
    });
    context->save_for_backward({mask});
    context->saved_data["lengths"] = detail::lengths_of(layout);
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor mask = context->get_saved_variables()[0];
    at::Tensor dx;
    if (context->needs_input_grad(1)) dx = scaled(gradients[0], mask, saved_layout(context));
    return {gradients[0], dx, at::Tensor()};
  }
};

void check_tokens(const at::Tensor& x_td, const RowLayout& layout) {
  TT_CHECK(x_td.dim() == 2 && x_td.size(0) == layout.tokens(), "{} tokens laid out as {}", x_td.size(0),
           layout.tokens());
}

}  // namespace

at::Tensor dropout_mask(const std::vector<std::uint64_t>& samples, std::int64_t width, double rate,
                        std::uint64_t seed, std::int64_t step, std::uint32_t site) {
  const RowLayout layout(std::vector<std::int64_t>(samples.size(), 1));
  return dropout_key_mask(samples, layout, width, rate, seed, step, site);
}

at::Tensor dropout_key_mask(const std::vector<std::uint64_t>& samples, const RowLayout& layout,
                            std::int64_t heads, double rate, std::uint64_t seed, std::int64_t step,
                            std::uint32_t site) {
  TT_CHECK(rate >= 0.0 && rate < 1.0, "a dropout rate of {} is outside [0, 1)", rate);
  TT_CHECK(static_cast<std::int64_t>(samples.size()) == layout.rows(), "{} sample ids for {} rows",
           samples.size(), layout.rows());
  if (rate == 0.0) return {};
  at::Tensor mask = at::empty({layout.tokens(), heads}, at::kFloat);
  float* to = mask.mutable_data_ptr<float>();
  const auto dropped = static_cast<std::uint64_t>(std::llround(std::ldexp(rate, 32)));
  const auto kept = static_cast<float>(1.0 / (1.0 - rate));
  detail::for_units(layout.rows(), [&](std::int64_t row, std::int64_t) {
    const RandomStream stream(seed, Purpose::kDropout, static_cast<std::uint64_t>(step),
                              samples[static_cast<std::size_t>(row)]);
    std::vector<std::uint32_t> words(static_cast<std::size_t>(layout.length(row) * heads));
    fill_uniform_bits(stream, static_cast<std::uint64_t>(site) << 32, words.size(), words.data());
    float* values = to + layout.begin(row) * heads;
    for (std::size_t i = 0; i < words.size(); ++i) values[i] = words[i] < dropped ? 0.0f : kept;
  });
  return mask;
}

at::Tensor dropout_rows(const at::Tensor& x_td, const at::Tensor& mask_rw, const RowLayout& layout) {
  check_tokens(x_td, layout);
  if (!mask_rw.defined()) return x_td;
  const at::Tensor mask = detail::checked_mask(mask_rw, layout.rows(), x_td.size(1), "dropout mask");
  if (!detail::is_fused(x_td)) return detail::dropout_rows_reference(x_td, mask, layout);
  return DropoutRows::apply(x_td, detail::MaskedRows{mask, layout});
}

at::Tensor add_dropout(const at::Tensor& residual_td, const at::Tensor& x_td, const at::Tensor& mask_rw,
                       const RowLayout& layout) {
  check_tokens(x_td, layout);
  TT_CHECK(residual_td.sizes() == x_td.sizes(), "a residual of width {} meets {}", residual_td.size(-1),
           x_td.size(1));
  if (!mask_rw.defined()) return residual_td + x_td;
  const at::Tensor mask = detail::checked_mask(mask_rw, layout.rows(), x_td.size(1), "dropout mask");
  if (!detail::is_fused(x_td) || !detail::is_fused(residual_td))
    return detail::add_dropout_reference(residual_td, x_td, mask, layout);
  return AddDropout::apply(residual_td, x_td, detail::MaskedRows{mask, layout});
}

at::Tensor detail::dropout_rows_reference(const at::Tensor& x_td, const at::Tensor& mask_rw,
                                          const RowLayout& layout) {
  if (!mask_rw.defined()) return x_td;
  const at::Tensor mask = upload(mask_rw, x_td.device()).to(x_td.scalar_type());
  return x_td * mask.index_select(0, row_of_tokens(layout, x_td.device()));
}

at::Tensor detail::add_dropout_reference(const at::Tensor& residual_td, const at::Tensor& x_td,
                                         const at::Tensor& mask_rw, const RowLayout& layout) {
  return residual_td + dropout_rows_reference(x_td, mask_rw, layout);
}

}  // namespace trimtab
