// SPDX-License-Identifier: Apache-2.0
//
// Linear maps split over the tensor ranks. Weights are [out, in] as in the files. A frozen
// weight keeps nothing for backward but itself.
#pragma once

#include <ATen/core/Tensor.h>

#include "parallel/linear_adapter.h"
#include "runtime/communicator.h"

namespace trimtab {

// x [t, in] times weight [out, in] transposed, in the type of the weight and returned in the type of x:
// bfloat16 weights under float32 activations multiply at bfloat16's speed, and norms, softmax and residuals
// stay float32. bias [out], of the weight's type, is added if it is defined.
at::Tensor linear_in_weight_type(const at::Tensor& x_ti, const at::Tensor& weight,
                                 const at::Tensor& bias = {});

// The share of a map that one tensor rank has, with what is attached to it.
class LinearShare {
 public:
  // bias [out] or undefined.
  LinearShare(at::Tensor weight, Communicator& tensor, at::Tensor bias = {});

  const at::Tensor& weight() const { return weight_; }
  // The adapter must outlive the map or be detached with nullptr.
  void attach(const LinearAdapter* adapter) { adapter_ = adapter; }
  const LinearAdapter* adapter() const { return adapter_; }

 protected:
  at::Tensor apply(const at::Tensor& x_ti, const AdapterPass* pass) const;
  Communicator& tensor() const { return *tensor_; }

 private:
  at::Tensor weight_, bias_;
  Communicator* tensor_;
  const LinearAdapter* adapter_ = nullptr;
};

// This rank holds some of the outputs: x [t, in], the same on all tensor ranks -> [t, its share of out].
class ColumnParallelLinear : public LinearShare {
 public:
  using LinearShare::LinearShare;
  at::Tensor operator()(const at::Tensor& x_ti, const AdapterPass* pass = nullptr) const;
  // The same for an input that has entered the tensor region already.
  at::Tensor of_entered(const at::Tensor& x_ti, const AdapterPass* pass = nullptr) const {
    return apply(x_ti, pass);
  }
};

// This rank holds some of the inputs: x [t, its share of in] -> [t, out], the same on all tensor ranks.
class RowParallelLinear : public LinearShare {
 public:
  RowParallelLinear(at::Tensor weight, Communicator& tensor) : LinearShare(std::move(weight), tensor) {}
  at::Tensor operator()(const at::Tensor& x_ti, const AdapterPass* pass = nullptr) const;
  // What this rank adds to it: it has not left the tensor region.
  at::Tensor part_of(const at::Tensor& x_ti, const AdapterPass* pass = nullptr) const {
    return apply(x_ti, pass);
  }
};

}  // namespace trimtab
