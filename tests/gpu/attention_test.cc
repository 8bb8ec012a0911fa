// SPDX-License-Identifier: Apache-2.0
//
// The attention kernel on the device, by shapes: outputs and every gradient against the composite of the host
// in float64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "gpu/device_under_test.h"
#include "models/ops/cross_attention.h"
#include "models/ops/device_attention.h"
#include "models/ops/dropout.h"
#include "models/ops/op_checks.h"
#include "models/ops/self_attention.h"

namespace trimtab::test {
namespace {

using trimtab::testing::differentiate;
using trimtab::testing::Differentiated;
using trimtab::testing::Op;
using trimtab::testing::random_tensor;
using trimtab::testing::relative_difference;
using Inputs = std::vector<at::Tensor>;

struct Case {
  const char* name;
  std::vector<std::int64_t> lengths;
  std::int64_t heads;
  std::int64_t width;

  friend void PrintTo(const Case& it, std::ostream* out) { *out << it.name; }
};

class Kernel : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const std::string reason = no_device(); !reason.empty()) GTEST_SKIP() << reason;
    use_attention(device_under_test().type(), AttentionPath::kRagged, &attention_of_device());
  }
  void TearDown() override { use_attention(device_under_test().type(), AttentionPath::kComposed); }

  RowLayout layout() const { return RowLayout(GetParam().lengths); }
  at::Tensor mask() const {
    std::vector<std::uint64_t> samples(GetParam().lengths.size());
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = 10 + i;
    return dropout_key_mask(samples, layout(), GetParam().heads, 0.2, 1, 2, 3);
  }
  at::Tensor columns(std::int64_t heads, std::uint64_t seed) const {
    const double deviation = 1.2 / std::pow(static_cast<double>(GetParam().width), 0.25);
    return random_tensor({layout().tokens(), heads * GetParam().width}, seed, deviation);
  }
  // `on_device` gets its inputs there, the first `rounded` of them in bfloat16 as well.
  static void expect_near(const Op& on_device, const Op& reference, Inputs inputs, std::size_t rounded) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(toString(type));
      const double tolerance = type == at::kFloat ? 1e-5 : 0.02;
      if (type == at::kBFloat16)
        for (std::size_t i = 0; i < rounded; ++i) inputs[i] = inputs[i].to(type).to(at::kFloat);
      const Differentiated is = differentiate(
          [&](const Inputs& in) {
            Inputs there;
            for (std::size_t i = 0; i < in.size(); ++i)
              there.push_back(in[i].to(device_under_test()).to(i < rounded ? type : at::kFloat));
            return on_device(there).cpu().to(at::kFloat);
          },
          inputs, at::kFloat);
      const Differentiated expected = differentiate(reference, inputs, at::kDouble);
      EXPECT_LE(relative_difference(is.output, expected.output), tolerance) << "output";
      // Against the largest of all: that of queries of one key is zero.
      double scale = 0.0;
      for (const at::Tensor& gradient : expected.gradients)
        scale = std::max(scale, gradient.abs().max().item<double>());
      for (std::size_t i = 0; i < inputs.size(); ++i)
        EXPECT_LE((is.gradients[i].to(at::kDouble) - expected.gradients[i]).abs().max().item<double>(),
                  tolerance * scale)
            << "gradient " << i;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(
    Shapes, Kernel,
    ::testing::Values(Case{"one_token", {1}, 1, 64}, Case{"ragged", {1, 210, 0, 64, 3}, 4, 64},
                      Case{"tile_borders", {63, 64, 65, 127, 128, 129}, 2, 64},
                      Case{"small_heads", {70, 9}, 3, 16}, Case{"wide_heads", {97, 31, 32}, 2, 128},
                      Case{"odd_heads", {66, 5}, 2, 80}, Case{"widest_heads", {67, 1}, 1, 256}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(Kernel, SelfAttentionWithBiasAndDropout) {
  for (const bool causal : {false, true}) {
    SCOPED_TRACE(causal ? "causal" : "both ways");
    const RelativeBias bias = {32, 128, !causal, causal};
    const std::int64_t heads = GetParam().heads;
    expect_near([&](const Inputs& in) { return self_attention(in[0], in[1], bias, layout(), heads, mask()); },
                [&](const Inputs& in) {
                  return detail::self_attention_reference(in[0], in[1], bias, layout(), heads, mask());
                },
                {columns(3 * heads, 1), random_tensor({32, heads}, 2)}, 1);
  }
}

TEST_P(Kernel, SharedHeadsOfKeys) {
  std::vector<float> frequencies(static_cast<std::size_t>(GetParam().width / 2), 0.1f);
  RotaryTable table(frequencies, false);
  const RotaryAngles angles = table.up_to(layout().longest());
  const AttentionHeads heads{2 * GetParam().heads, GetParam().heads, 0.7};
  expect_near(
      [&](const Inputs& in) { return causal_attention(in[0], heads, angles, layout()); },
      [&](const Inputs& in) { return detail::causal_attention_reference(in[0], heads, angles, layout()); },
      {columns(heads.queries + 2 * heads.keys, 1)}, 1);
}

TEST_P(Kernel, CrossAttention) {
  std::vector<std::int64_t> targets;
  for (std::size_t row = 0; row < GetParam().lengths.size(); ++row)
    targets.push_back(GetParam().lengths[row] == 0 ? 0 : static_cast<std::int64_t>(1 + row * 40 % 70));
  const RowLayout decoder(targets);
  const std::int64_t heads = GetParam().heads;
  expect_near(
      [&](const Inputs& in) {
        return attend_to_keys(in[0], {in[1], in[2], layout()}, decoder, heads, mask());
      },
      [&](const Inputs& in) {
        return detail::attend_to_keys_reference(in[0], {in[1], in[2], layout()}, decoder, heads, mask());
      },
      {random_tensor({decoder.tokens(), heads * GetParam().width}, 3, 0.5), columns(heads, 4),
       columns(heads, 5)},
      3);
}

}  // namespace
}  // namespace trimtab::test
