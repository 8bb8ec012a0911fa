// SPDX-License-Identifier: Apache-2.0
//
// How the tests of operations compare: random float32 inputs go through the operation, through its plain
// composite, and through the composite in float64; outputs and every gradient must agree.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace trimtab::testing {

inline at::Tensor random_tensor(at::IntArrayRef sizes, std::uint64_t seed, double deviation = 1.0) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(sizes, generator, at::TensorOptions().dtype(at::kFloat)) * deviation;
}

inline double relative_difference(const at::Tensor& is, const at::Tensor& expected) {
  const at::Tensor a = is.to(at::kDouble);
  const at::Tensor b = expected.to(at::kDouble);
  const double scale = b.abs().max().item<double>();
  const double difference = (a - b).abs().max().item<double>();
  return scale > 0 ? difference / scale : difference;
}

using Op = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

struct Differentiated {
  at::Tensor output;
  std::vector<at::Tensor> gradients;
};

// The output, and the gradients of sum(output * direction) for each input.
inline Differentiated differentiate(const Op& op, const std::vector<at::Tensor>& inputs,
                                    at::ScalarType type) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().to(type).clone().requires_grad_());
  Differentiated result;
  result.output = op(leaves);
  const at::Tensor direction = random_tensor(result.output.sizes(), 99).to(type);
  result.gradients = torch::autograd::grad({result.output}, leaves, {direction}, std::nullopt, false, true);
  result.output = result.output.detach();
  return result;
}

// `op` must agree with `reference` in float64 within `tolerance` of the largest element; and with the float32
// reference.
inline void expect_same(const Op& op, const Op& reference, const std::vector<at::Tensor>& inputs,
                        double tolerance = 3e-6) {
  const Differentiated is = differentiate(op, inputs, at::kFloat);
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const double bound = type == at::kDouble ? tolerance : 3 * tolerance;  // float32 on both sides
    SCOPED_TRACE(type == at::kDouble ? "float64 reference" : "float32 reference");
    const Differentiated expected = differentiate(reference, inputs, type);
    ASSERT_EQ(is.output.sizes(), expected.output.sizes());
    EXPECT_LE(relative_difference(is.output, expected.output), bound) << "output";
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      ASSERT_EQ(is.gradients[i].defined(), expected.gradients[i].defined()) << "gradient of input " << i;
      if (!expected.gradients[i].defined()) continue;
      EXPECT_LE(relative_difference(is.gradients[i], expected.gradients[i]), bound)
          << "gradient of input " << i;
    }
  }
}

// Output and gradients are the same bits with one thread and with three.
inline void expect_thread_independent(const Op& op, const std::vector<at::Tensor>& inputs) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Differentiated one = differentiate(op, inputs, at::kFloat);
  at::set_num_threads(3);
  const Differentiated three = differentiate(op, inputs, at::kFloat);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one.output, three.output)) << "output";
  for (std::size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(at::equal(one.gradients[i], three.gradients[i])) << "gradient of input " << i;
}

}  // namespace trimtab::testing
