// SPDX-License-Identifier: Apache-2.0
#include "experiments/train_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "runtime/check.h"

namespace trimtab {
namespace {

// Rows of a token-major tensor that hold something not finite. The tensor has the tokens of `layout`, and the
// same number of further positions in front of each row; all rows if it has another form.
std::vector<std::int64_t> bad_rows(const at::Tensor& x_td, const RowLayout& layout) {
  const std::int64_t rows = layout.rows();
  const std::int64_t extra = x_td.dim() == 2 && rows > 0 ? x_td.size(0) - layout.tokens() : -1;
  std::vector<std::int64_t> out;
  for (std::int64_t row = 0; row < rows; ++row) {
    if (extra < 0 || extra % rows != 0) {
      out.push_back(row);
      continue;
    }
    const std::int64_t begin = layout.begin(row) + row * (extra / rows);
    const std::int64_t length = layout.length(row) + extra / rows;
    if (!x_td.narrow(0, begin, length).isfinite().all().item<bool>()) out.push_back(row);
  }
  return out;
}

std::string names_of(const std::vector<std::int64_t>& rows, const MicroBatch& batch, const RowName& name) {
  constexpr std::size_t kShown = 8;
  std::string out;
  for (std::size_t i = 0; i < rows.size() && i < kShown; ++i)
    out += (i == 0 ? "" : ", ") + name(batch.samples.at(static_cast<std::size_t>(rows[i])));
  if (rows.size() > kShown) out += fmt::format(" and {} more", rows.size() - kShown);
  return out;
}

}  // namespace

void clear_gradients(const Parameters& parameters) {
  for (const Parameter& parameter : parameters) parameter.leaf.mutable_grad() = at::Tensor();
}

Fault find_fault(ModelStage& stage, const MicroBatch& batch, ForwardContext context) {
  const at::NoGradGuard no_grad;
  Fault fault;
  context.observe = [&](const std::string& name, const at::Tensor& x_td) {
    if (!fault.layer.empty() || x_td.isfinite().all().item<bool>()) return;
    fault.layer = name;
    fault.rows = bad_rows(x_td, name.starts_with("decoder") ? batch.decoder : batch.encoder);
  };
  stage.forward({}, batch, context);
  return fault;
}

TrainStep::TrainStep(ModelStage& stage, const Parameters& parameters, GradientSync& sync,
                     TrainStepOptions options)
    : stage_(stage), parameters_(parameters), sync_(sync), options_(options) {}

ForwardContext TrainStep::context(std::int64_t step) const {
  ForwardContext context;
  context.training = true;
  context.dropout = options_.dropout;
  context.seed = options_.seed;
  context.step = step;
  return context;
}

StepTotals TrainStep::run(std::int64_t step, const std::vector<MicroBatch>& micro_batches,
                          const RowName& row_name) {
  clear_gradients(parameters_);
  double loss_sum = 0.0;
  std::int64_t tokens = 0;
  for (const MicroBatch& batch : micro_batches) {
    const StageIO out = stage_.forward({}, batch, context(step));
    const LossSums sums = stage_.loss(out, batch, options_.z_loss);
    const double loss = sums.loss.item<double>();
    if (options_.check_finite && !std::isfinite(loss)) stop_at_bad_loss(step, batch, loss, row_name);
    sums.loss.backward();
    loss_sum += loss;
    tokens += sums.tokens;
  }
  try {
    return sync_.reduce(parameters_, loss_sum, tokens);
  } catch (const Error& error) {
    if (micro_batches.empty()) throw;
    const MicroBatch& first = micro_batches.front();
    fail("step {}: {} (rows of the step begin with {}). The last saved checkpoint is as it was.", step,
         error.what(), first.rows() > 0 ? names_of({0}, first, row_name) : "none");
  }
}

double TrainStep::score(const std::vector<MicroBatch>& micro_batches) {
  const at::NoGradGuard no_grad;
  double loss = 0.0;
  std::int64_t tokens = 0;
  for (const MicroBatch& batch : micro_batches) {
    const LossSums sums = stage_.loss(stage_.forward({}, batch, ForwardContext{}), batch, options_.z_loss);
    loss += sums.loss.item<double>();
    tokens += sums.tokens;
  }
  return tokens > 0 ? loss / static_cast<double>(tokens) : 0.0;
}

void TrainStep::stop_at_bad_loss(std::int64_t step, const MicroBatch& batch, double loss,
                                 const RowName& name) {
  const Fault fault = find_fault(stage_, batch, context(step));
  std::vector<std::int64_t> all(static_cast<std::size_t>(batch.rows()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  fail(
      "step {}: the loss is {}; {}; rows: {}. The last saved checkpoint is as it was. A lower "
      "optimizer.learning_rate or model.compute=float32 usually helps",
      step, std::isnan(loss) ? "NaN" : "infinite",
      fault.layer.empty() ? "all layers are finite, the loss itself is not"
                          : fmt::format("the first layer with a value that is not finite is {}", fault.layer),
      names_of(fault.layer.empty() ? all : fault.rows, batch, name));
}

}  // namespace trimtab
