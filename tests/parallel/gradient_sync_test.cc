// SPDX-License-Identifier: Apache-2.0
#include "parallel/gradient_sync.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/check.h"
#include "runtime/solo_communicator.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Rank 0 of several, with the vectors that the others would send written down beforehand.
class ScriptedPeers : public Communicator {
 public:
  explicit ScriptedPeers(std::vector<std::vector<float>> peers)
      : Communicator("data", members(peers.size() + 1), 0, DeviceKind::kHost), peers_(std::move(peers)) {}

 private:
  static std::vector<int> members(std::size_t count) {
    std::vector<int> ranks(count);
    for (std::size_t i = 0; i < count; ++i) ranks[i] = static_cast<int>(i);
    return ranks;
  }
  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    EXPECT_EQ(op, ReduceOp::kSum);
    EXPECT_EQ(traffic, Traffic::kGradient);
    auto* values = static_cast<float*>(buffer.data);
    for (const std::vector<float>& peer : peers_) {
      ASSERT_EQ(static_cast<std::int64_t>(peer.size()), buffer.count);
      for (std::size_t i = 0; i < peer.size(); ++i) values[i] += peer[i];
    }
  }
  void do_reduce_scatter(const ConstBuffer&, const Buffer&, const Parts&, ReduceOp, Traffic) override {
    ADD_FAILURE();
  }
  void do_all_gather(const ConstBuffer&, const Buffer&, const Parts&, Traffic) override { ADD_FAILURE(); }
  void do_broadcast(const Buffer&, int, Traffic) override { ADD_FAILURE(); }
  void do_exchange(std::span<const Send>, std::span<const Receive>, Traffic) override { ADD_FAILURE(); }
  void do_barrier(Traffic) override { ADD_FAILURE(); }

  std::vector<std::vector<float>> peers_;
};

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

Parameter with_gradient(const std::string& name, const std::vector<float>& gradient) {
  const auto count = static_cast<std::int64_t>(gradient.size());
  Parameter parameter{name, at::zeros({count})};
  parameter.leaf.mutable_grad() = at::empty({count});
  for (std::int64_t i = 0; i < count; ++i)
    parameter.leaf.mutable_grad()[i].fill_(gradient[static_cast<std::size_t>(i)]);
  return parameter;
}

TEST(GradientSync, OneAllReduceOfGradientsLossAndCount) {
  const Parameter a = with_gradient("a", {1, 2});
  const Parameter missing{"missing", at::zeros({2, 1})};
  const Parameter half{"half", at::zeros({1}, at::kBFloat16)};
  half.leaf.mutable_grad() = at::full({1}, 0.5, at::kBFloat16);
  ScriptedPeers data({{10, 20, 3, 4, 0.25f, 1.5f, 7}, {0, 0, 0, 0, 0, 0, 12'287}});
  const StepTotals totals = GradientSync(data).reduce({a, missing, half}, 2.0, 4'101);
  EXPECT_THAT(values_of(a.grad()), ElementsAre(11, 22));
  EXPECT_THAT(values_of(missing.grad()), ElementsAre(3, 4));
  EXPECT_EQ(half.grad().scalar_type(), at::kBFloat16);
  EXPECT_THAT(values_of(half.grad()), ElementsAre(0.75f));
  EXPECT_EQ(totals.loss, 3.5);
  EXPECT_EQ(totals.tokens, 4'101 + 7 + 12'287);
  EXPECT_DOUBLE_EQ(totals.gradient_norm, std::sqrt(121.0 + 484.0 + 9.0 + 16.0 + 0.5625));
  EXPECT_EQ(data.counters()[Traffic::kGradient].calls, 1);
  EXPECT_EQ(data.counters()[Traffic::kGradient].bytes, 7 * 4);
}

TEST(GradientSync, CountsTokensExactlyOrNotAtAll) {
  constexpr std::int64_t kHalf = 8'388'608;  // for two replicas: a float counts to 2^24 without gaps
  ScriptedPeers odd({{0, static_cast<float>(kHalf - 1)}});
  EXPECT_EQ(GradientSync(odd).reduce({}, 0.0, kHalf).tokens, 2 * kHalf - 1);
  ScriptedPeers data({{0, 0}});
  EXPECT_THAT([&] { GradientSync(data).reduce({}, 0.0, kHalf + 1); },
              ThrowsMessage<Error>(HasSubstr("8388609 target tokens on one of 2 replicas")));
}

TEST(GradientSync, RowsOfOneLeafAreReducedOnceEach) {
  Parameter all = with_gradient("all", {1, 2, 3});
  const Parameters rows = {Parameter{"low", all.leaf, 0, 1}, Parameter{"high", all.leaf, 1, 2}};
  ScriptedPeers data({{10, 20, 30, 0, 0}});
  GradientSync(data).reduce(rows, 0.0, 0);
  EXPECT_THAT(values_of(all.grad()), ElementsAre(11, 22, 33));
}

TEST(GradientSync, OneReplicaCopiesAndSendsNothing) {
  const Parameter a = with_gradient("a", {3, 4});
  const Parameter missing{"missing", at::zeros({2})};
  const void* before = a.grad().data_ptr();
  SoloCommunicator solo("data");
  const StepTotals totals = GradientSync(solo).reduce({a, missing}, 1.25, 7);
  EXPECT_EQ(a.grad().data_ptr(), before);
  EXPECT_FALSE(missing.grad().defined());
  EXPECT_EQ(totals.gradient_norm, 5.0);
  EXPECT_EQ(totals.loss, 1.25);
  EXPECT_EQ(totals.tokens, 7);
  EXPECT_EQ(solo.counters()[Traffic::kGradient], TrafficCount());
}

TEST(GradientSync, NamesTheParameterThatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  SoloCommunicator solo("data");
  EXPECT_THAT(
      [&] {
        GradientSync(solo).reduce({with_gradient("good", {1}), with_gradient("bad", {0, nan, -infinity})},
                                  2.0, 3);
      },
      ThrowsMessage<Error>(
          AllOf(HasSubstr("the gradient of bad is not finite: 1 NaN and 1 infinite of 3 values"),
                HasSubstr("first at element 1 (loss 2 over 3 target tokens)"))));
  // Large is not infinite.
  EXPECT_NO_THROW(GradientSync(solo).reduce({with_gradient("large", {3e38f, -3e38f})}, 2.0, 3));
}

TEST(GradientSync, SaysSoWhenAnyReplicasLossIsNotFinite) {
  ScriptedPeers data({{std::numeric_limits<float>::infinity(), 4}});
  EXPECT_THAT([&] { GradientSync(data).reduce({}, 2.0, 3); },
              ThrowsMessage<Error>(HasSubstr("the loss is inf over 7 target tokens")));
}

}  // namespace
}  // namespace trimtab
