// SPDX-License-Identifier: Apache-2.0
#include "models/ops/rms_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/ops/kernels.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kTokenGrain = 32;
constexpr std::int64_t kColumnGrain = 64;

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_td, const at::Tensor& weight_d,
                            double epsilon) {
    const at::Tensor x = x_td.contiguous();
    const at::Tensor weight = weight_d.contiguous();
    const std::int64_t width = x.size(1);
    at::Tensor y = at::empty_like(x);
    at::Tensor rstd = at::empty({x.size(0)}, x.options());
    const float* from = x.const_data_ptr<float>();
    const float* factor = weight.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    float* statistics = rstd.mutable_data_ptr<float>();
    at::parallel_for(0, x.size(0), kTokenGrain, [&](std::int64_t begin, std::int64_t end) {
      detail::kernels().rms_norm(from + begin * width, factor, static_cast<float>(epsilon), end - begin,
                                 width, to + begin * width, statistics + begin);
    });
    context->save_for_backward({x, weight, rstd});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    const std::int64_t tokens = saved[0].size(0);
    const std::int64_t width = saved[0].size(1);
    const float* slope = dy.const_data_ptr<float>();
    const float* x = saved[0].const_data_ptr<float>();
    const float* weight = saved[1].const_data_ptr<float>();
    const float* rstd = saved[2].const_data_ptr<float>();
    at::Tensor dx;
    at::Tensor dweight;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(dy);
      float* to = dx.mutable_data_ptr<float>();
      at::parallel_for(0, tokens, kTokenGrain, [&](std::int64_t begin, std::int64_t end) {
        detail::kernels().rms_norm_backward(slope + begin * width, x + begin * width, weight, rstd + begin,
                                            end - begin, width, to + begin * width);
      });
    }
    if (context->needs_input_grad(1)) {
      dweight = at::empty({width}, dy.options());
      float* to = dweight.mutable_data_ptr<float>();
      at::parallel_for(0, width, kColumnGrain, [&](std::int64_t begin, std::int64_t end) {
        detail::kernels().rms_norm_weight_gradient(slope, x, rstd, tokens, width, begin, end, to);
      });
    }
    return {dx, dweight, at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x_td, const at::Tensor& weight_d, double epsilon) {
  TT_CHECK(x_td.dim() == 2 && weight_d.dim() == 1 && x_td.size(1) == weight_d.size(0),
           "a norm of width {} meets {} dims of input, the last of {}", weight_d.numel(), x_td.dim(),
           x_td.size(-1));
  if (detail::is_fused(x_td) && detail::is_fused(weight_d)) return RmsNorm::apply(x_td, weight_d, epsilon);
  return detail::rms_norm_reference(x_td, weight_d, epsilon);
}

at::Tensor detail::rms_norm_reference(const at::Tensor& x_td, const at::Tensor& weight_d, double epsilon) {
  const at::ScalarType type = compute_type(x_td);
  const at::Tensor x = x_td.to(type);
  const at::Tensor rstd = at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + epsilon);
  return (x * rstd * weight_d.to(type)).to(x_td.scalar_type());
}

}  // namespace trimtab
