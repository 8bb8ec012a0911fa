// SPDX-License-Identifier: Apache-2.0
//
// Linear maps split over the tensor ranks. Weights are [out, in] as in the files. A frozen
// weight keeps nothing for backward but itself.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/communicator.h"

namespace trimtab {

// x [t, in] times weight [out, in] transposed, in the type of the weight and returned in the type of x:
// bfloat16 weights under float32 activations multiply at bfloat16's speed, and norms, softmax and residuals
// stay float32. bias [out], of the weight's type, is added if it is defined.
at::Tensor linear_in_weight_type(const at::Tensor& x_ti, const at::Tensor& weight,
                                 const at::Tensor& bias = {});

// This rank holds some of the outputs: x [t, in], the same on all tensor ranks -> [t, out / ranks].
class ColumnParallelLinear {
 public:
  // bias [out / ranks] or undefined.
  ColumnParallelLinear(at::Tensor weight, Communicator& tensor, at::Tensor bias = {});
  at::Tensor operator()(const at::Tensor& x_ti) const;
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_, bias_;
  Communicator* tensor_;
};

// This rank holds some of the inputs: x [t, in / ranks] -> [t, out], the same on all tensor ranks.
class RowParallelLinear {
 public:
  RowParallelLinear(at::Tensor weight, Communicator& tensor);
  at::Tensor operator()(const at::Tensor& x_ti) const;
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_;
  Communicator* tensor_;
};

}  // namespace trimtab
