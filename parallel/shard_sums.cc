// SPDX-License-Identifier: Apache-2.0
#include "parallel/shard_sums.h"

#include <algorithm>
#include <bit>

#include "runtime/agreement.h"

namespace trimtab {
namespace {

bool runs_along_cut(const PartialSum& sum) {
  switch (sum.over) {
    case SumOver::kAll:
      return sum.parameter->cut != kWhole;
    case SumOver::kColumns:
      return sum.parameter->cut.dim == 1;
    case SumOver::kRows:
    case SumOver::kRowMeans:
      return sum.parameter->cut.dim == 0;
  }
  return false;
}

// Element by element over all ranks. Doubles travel as their bits, since no communicator adds them up.
void add_over_ranks(std::vector<double>& values, Communicator& ranks) {
  const std::size_t count = values.size();
  std::vector<std::int64_t> own(count), all(count * static_cast<std::size_t>(ranks.size()));
  std::ranges::transform(values, own.begin(),
                         [](double value) { return std::bit_cast<std::int64_t>(value); });
  ranks.all_gather({own.data(), static_cast<std::int64_t>(own.size()), DType::kInt64},
                   {all.data(), static_cast<std::int64_t>(all.size()), DType::kInt64}, Traffic::kGradient);
  std::ranges::fill(values, 0.0);
  for (std::size_t i = 0; i < all.size(); ++i) values[i % count] += std::bit_cast<double>(all[i]);
}

bool on_many_stages(const Parameters& parameters, Communicator& pipe) {
  const auto texts = gather_texts(pipe, parameters.empty() ? "" : "trains");
  return std::ranges::count(texts, "trains") > 1;
}

}  // namespace

ShardSums::ShardSums(const Parameters& parameters, const SharedByStages& shared, Communicator& tensor,
                     Communicator& pipe)
    : shared_(shared), tensor_(tensor), pipe_(pipe), many_stages_(on_many_stages(parameters, pipe)) {}

void ShardSums::combine(std::span<PartialSum> sums) {
  if (tensor_.size() == 1) return;
  std::vector<double> values;
  for (const PartialSum& sum : sums)
    if (runs_along_cut(sum)) values.insert(values.end(), sum.values.begin(), sum.values.end());
  if (values.empty()) return;
  add_over_ranks(values, tensor_);
  auto next = values.begin();
  for (PartialSum& sum : sums) {
    if (!runs_along_cut(sum)) continue;
    const auto end = next + static_cast<std::ptrdiff_t>(sum.values.size());
    std::copy(next, end, sum.values.begin());
    next = end;
  }
}

double ShardSums::across_stages(double value) {
  if (!many_stages_) return value;
  std::vector<double> values = {value};
  add_over_ranks(values, pipe_);
  return values[0];
}

bool ShardSums::counts_here(const Parameter& parameter) const { return shared_.counts_here(parameter.name); }

}  // namespace trimtab
