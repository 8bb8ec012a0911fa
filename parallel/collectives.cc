// SPDX-License-Identifier: Apache-2.0
#include "parallel/collectives.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

at::Tensor summed(const at::Tensor& x, Communicator& tensor) {
  at::Tensor sum = x.clone(at::MemoryFormat::Contiguous);
  tensor.all_reduce(buffer_of(sum), ReduceOp::kSum, Traffic::kTensor);
  return sum;
}

class Enter : public torch::autograd::Function<Enter> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            Communicator* tensor) {
    context->saved_data["tensor"] = reinterpret_cast<std::int64_t>(tensor);
    return x.view_as(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    auto* tensor = reinterpret_cast<Communicator*>(context->saved_data["tensor"].toInt());
    return {summed(grads[0], *tensor), at::Tensor()};
  }
};

class Leave : public torch::autograd::Function<Leave> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x, Communicator* tensor) {
    return summed(x, *tensor);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list grads) {
    return {grads[0], at::Tensor()};
  }
};

// The numbers of each rank's tokens.
Parts parts_of(std::int64_t tokens, std::int64_t width, const Communicator& tensor) {
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < tensor.size(); ++rank)
    counts.push_back(width * share(tokens, rank, tensor.size(), Uneven::kAllow).count);
  return Parts(counts);
}

at::Tensor gathered(const at::Tensor& own, std::int64_t tokens, Communicator& tensor) {
  const at::Tensor x = own.contiguous();
  const std::int64_t width = x.size(1);
  TT_CHECK(x.size(0) == own_tokens(tokens, tensor).count, "{} tokens as this rank's share of {}", x.size(0),
           tokens);
  at::Tensor all = at::empty({tokens, width}, x.options().requires_grad(false));
  tensor.all_gather(buffer_of(x), buffer_of(all), parts_of(tokens, width, tensor), Traffic::kTensor);
  return all;
}

at::Tensor scattered(const at::Tensor& part, Communicator& tensor) {
  const at::Tensor x = part.contiguous();
  const std::int64_t tokens = x.size(0), width = x.size(1);
  at::Tensor own = at::empty({own_tokens(tokens, tensor).count, width}, x.options().requires_grad(false));
  tensor.reduce_scatter(buffer_of(x), buffer_of(own), parts_of(tokens, width, tensor), ReduceOp::kSum,
                        Traffic::kTensor);
  return own;
}

class GatherTokens : public torch::autograd::Function<GatherTokens> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            std::int64_t tokens, Communicator* tensor) {
    context->saved_data["tensor"] = reinterpret_cast<std::int64_t>(tensor);
    return gathered(x, tokens, *tensor);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    auto* tensor = reinterpret_cast<Communicator*>(context->saved_data["tensor"].toInt());
    return {scattered(grads[0], *tensor), at::Tensor(), at::Tensor()};
  }
};

class ScatterTokens : public torch::autograd::Function<ScatterTokens> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            Communicator* tensor) {
    context->saved_data["tensor"] = reinterpret_cast<std::int64_t>(tensor);
    context->saved_data["tokens"] = x.size(0);
    return scattered(x, *tensor);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    auto* tensor = reinterpret_cast<Communicator*>(context->saved_data["tensor"].toInt());
    return {gathered(grads[0], context->saved_data["tokens"].toInt(), *tensor), at::Tensor()};
  }
};

}  // namespace

at::Tensor enter_tensor_region(const at::Tensor& x, Communicator& tensor) {
  return tensor.size() == 1 ? x : Enter::apply(x, &tensor);
}

at::Tensor leave_tensor_region(const at::Tensor& x, Communicator& tensor) {
  return tensor.size() == 1 ? x : Leave::apply(x, &tensor);
}

Share own_tokens(std::int64_t tokens, const Communicator& tensor) {
  return share(tokens, tensor.rank(), tensor.size(), Uneven::kAllow);
}

at::Tensor gather_tokens(const at::Tensor& x_td, std::int64_t tokens, Communicator& tensor) {
  return tensor.size() == 1 ? x_td : GatherTokens::apply(x_td, tokens, &tensor);
}

at::Tensor scatter_tokens(const at::Tensor& x_td, Communicator& tensor) {
  return tensor.size() == 1 ? x_td : ScatterTokens::apply(x_td, &tensor);
}

}  // namespace trimtab
