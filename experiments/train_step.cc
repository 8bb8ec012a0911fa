// SPDX-License-Identifier: Apache-2.0
#include "experiments/train_step.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Rows of a token-major tensor that hold something not finite.
std::vector<std::int64_t> bad_rows(const at::Tensor& x_td, const RowLayout& layout) {
  std::vector<std::int64_t> out;
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    if (!x_td.narrow(0, layout.begin(row), layout.length(row)).isfinite().all().item<bool>())
      out.push_back(row);
  return out;
}

std::vector<std::int64_t> all_rows(const MicroBatch& batch) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(batch.rows()));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
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

Fault find_fault(ModelRunner& runner, const MicroBatch& batch, ForwardContext context) {
  Fault fault;
  context.observe = [&](const std::string& name, const at::Tensor& x_td, const RowLayout& layout) {
    if (!fault.layer.empty() || x_td.isfinite().all().item<bool>()) return;
    fault.layer = name;
    fault.rows = bad_rows(x_td, layout);
  };
  runner.evaluate({batch}, context, 0.0);
  // The first stage with a fault is where it comes from; what the stages behind it saw follows from that.
  for (const std::string& layer : gather_texts(runner.world().along(Axis::kPipe), fault.layer)) {
    if (layer.empty()) continue;
    if (layer != fault.layer) fault.rows = all_rows(batch);
    fault.layer = layer;
    break;
  }
  return fault;
}

TrainStep::TrainStep(ModelRunner& runner, const Parameters& parameters, TrainStepOptions options)
    : runner_(runner),
      parameters_(parameters),
      shared_(parameters, runner.world().along(Axis::kPipe)),
      sums_(parameters, shared_, runner.world().along(Axis::kTensor), runner.world().along(Axis::kPipe)),
      sync_(runner.world().along(Axis::kData), &sums_),
      options_(options) {}

Parameters TrainStep::counted() const {
  Parameters out = parameters_;
  std::erase_if(out, [&](const Parameter& parameter) { return !shared_.counts_here(parameter.name); });
  return out;
}

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
  ModelPass pass = begin(step);
  return finish(step, micro_batches, runner_.train(pass, micro_batches), row_name);
}

ModelPass TrainStep::begin(std::int64_t step) {
  clear_gradients(parameters_);
  return {runner_.stage(), context(step), options_.z_loss};
}

StepTotals TrainStep::finish(std::int64_t step, const std::vector<MicroBatch>& micro_batches,
                             const PassTotals& totals, const RowName& row_name) {
  shared_.sum(parameters_);
  try {
    return sync_.reduce(parameters_, totals.loss, totals.tokens);
  } catch (const NotFinite& error) {
    // Only the replica whose rows they are knows more.
    const std::string found = explain(step, micro_batches, totals.losses, row_name);
    std::string why = error.what();
    for (const std::string& text : gather_texts(runner_.world().along(Axis::kData), found)) {
      if (text.empty()) continue;
      why = text;
      break;
    }
    throw Diverged(
        fmt::format("step {}: {}. The last saved checkpoint is as it was. A lower optimizer.learning_rate or "
                    "model.compute=float32 usually helps",
                    step, why));
  }
}

double TrainStep::score(const std::vector<MicroBatch>& micro_batches) {
  const PassTotals totals = runner_.evaluate(micro_batches, ForwardContext{}, options_.z_loss);
  return totals.tokens > 0 ? totals.loss / static_cast<double>(totals.tokens) : 0.0;
}

std::string TrainStep::explain(std::int64_t step, const std::vector<MicroBatch>& micro_batches,
                               const std::vector<double>& losses, const RowName& name) {
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (std::isfinite(losses[i])) continue;
    const MicroBatch& batch = micro_batches[i];
    const Fault fault = find_fault(runner_, batch, context(step));
    return fmt::format(
        "the loss is {}; {}; rows: {}", std::isnan(losses[i]) ? "NaN" : "infinite",
        fault.layer.empty()
            ? "all layers are finite, the loss itself is not"
            : fmt::format("the first layer with a value that is not finite is {}", fault.layer),
        names_of(fault.layer.empty() ? all_rows(batch) : fault.rows, batch, name));
  }
  return "";
}

}  // namespace trimtab
