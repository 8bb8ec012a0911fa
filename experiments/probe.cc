// SPDX-License-Identifier: Apache-2.0
#include "experiments/probe.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/check.h"

namespace trimtab {
namespace {

RowLayout first_of(const RowLayout& layout, std::int64_t rows) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < rows; ++row) lengths.push_back(layout.length(row));
  return RowLayout(lengths);
}

// Whether the loss is another one when all that is trained is moved. The values are those of before at the
// end.
bool has_effect(const Parameters& parameters, double loss, const std::function<double()>& score) {
  constexpr double kMove = 0.1;
  std::vector<at::Tensor> before;
  for (const Parameter& parameter : parameters) {
    before.push_back(parameter.value().clone());
    parameter.value().add_(kMove);
  }
  const double moved = score();
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].value().copy_(before[i]);
  return moved != loss;
}

}  // namespace

std::vector<MicroBatch> first_rows(const std::vector<MicroBatch>& batches, std::int64_t rows) {
  if (batches.empty()) return {};
  const MicroBatch& from = batches.front();
  const std::int64_t count = std::min(rows, from.rows());
  MicroBatch out;
  out.encoder = first_of(from.encoder, count);
  out.decoder = first_of(from.decoder, count);
  out.encoder_ids = from.encoder_ids.narrow(0, 0, out.encoder.tokens());
  out.decoder_ids = from.decoder_ids.narrow(0, 0, out.decoder.tokens());
  out.targets = from.targets.narrow(0, 0, out.decoder.tokens());
  out.lanes.assign(from.lanes.begin(), from.lanes.begin() + count);
  out.samples.assign(from.samples.begin(), from.samples.begin() + count);
  return {out};
}

void verify_saved(const std::string& path, const CheckpointShare& share, ModelStage& stage,
                  TuningMethod& method, const Parameters& parameters, double trained,
                  const std::function<double()>& score) {
  for (const Parameter& parameter : parameters)
    parameter.value().fill_(std::numeric_limits<float>::quiet_NaN());
  if (!parameters.empty()) Checkpoint(path).load_values(parameters, share);
  const double reloaded = score();
  if (!(std::abs(reloaded - trained) <= 1e-6 * std::abs(trained)))
    fail(
        "{}: what was read back gives the loss {}, what was trained gives {}: the file is not what was "
        "trained",
        path, reloaded, trained);
  if (!method.set_enabled(stage, false)) return;
  const double without = score();
  method.set_enabled(stage, true);
  // A method that begins as the identity has done nothing yet where it has hardly moved.
  if (without == reloaded && !has_effect(parameters, reloaded, score))
    fail("{}: the loss is {} with the method and without it: what was trained is not used by the model", path,
         without);
}

}  // namespace trimtab
