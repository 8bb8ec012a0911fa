// SPDX-License-Identifier: Apache-2.0
#include "models/golden_case.h"

#include <fmt/format.h>

#include <numeric>

#include "parallel/tensor.h"

namespace trimtab::test {

GoldenCase::GoldenCase(const std::string& name, const std::string& model)
    : folder_(fmt::format("{}/{}", TRIMTAB_GOLDEN_DIR, name)),
      golden_(folder_ + "/golden.safetensors"),
      model_(open_model(model.empty() ? folder_ : model)) {}

at::Tensor GoldenCase::stored(const std::string& name) const {
  const TensorInfo info = golden_.info(name);
  at::Tensor tensor = at::empty(info.shape, scalar_type(info.dtype));
  golden_.read(name, {}, info.dtype, tensor.data_ptr());
  return tensor;
}

std::vector<std::vector<std::int64_t>> GoldenCase::rows_of(const std::string& ids,
                                                           const std::string& lengths) const {
  const at::Tensor all = stored(ids).to(at::kLong), sizes = stored(lengths).to(at::kLong);
  std::vector<std::vector<std::int64_t>> rows;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < sizes.size(0); ++i) {
    const std::int64_t n = sizes[i].item<std::int64_t>();
    const std::int64_t* first = all.const_data_ptr<std::int64_t>() + at;
    rows.emplace_back(first, first + n);
    at += n;
  }
  return rows;
}

MicroBatch GoldenCase::batch(std::int64_t begin, std::int64_t end) const {
  const auto inputs = rows_of("input_ids", "input_lengths"),
             targets = rows_of("target_ids", "target_lengths");
  if (end < 0) end = static_cast<std::int64_t>(inputs.size());
  std::vector<std::int64_t> input_ids, decoder_ids, target_ids, input_lengths, target_lengths;
  MicroBatch batch;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto& input = inputs[static_cast<std::size_t>(row)];
    const auto& target = targets[static_cast<std::size_t>(row)];
    input_ids.insert(input_ids.end(), input.begin(), input.end());
    target_ids.insert(target_ids.end(), target.begin(), target.end());
    decoder_ids.push_back(0);  // padding starts a target
    decoder_ids.insert(decoder_ids.end(), target.begin(), target.end() - 1);
    input_lengths.push_back(static_cast<std::int64_t>(input.size()));
    target_lengths.push_back(static_cast<std::int64_t>(target.size()));
    batch.lanes.push_back(0);
    batch.samples.push_back(static_cast<std::uint64_t>(row));
  }
  batch.encoder = RowLayout(input_lengths);
  batch.decoder = RowLayout(target_lengths);
  batch.encoder_ids = at::tensor(input_ids, at::kLong);
  batch.decoder_ids = at::tensor(decoder_ids, at::kLong);
  batch.targets = at::tensor(target_ids, at::kLong);
  return batch;
}

std::vector<std::vector<std::int32_t>> GoldenCase::generated() const {
  std::vector<std::vector<std::int32_t>> result;
  for (const auto& row : rows_of("generated_ids", "generated_lengths"))
    result.emplace_back(row.begin(), row.end());
  return result;
}

MicroBatch with_target(MicroBatch batch, const std::vector<std::int32_t>& target, std::int64_t pad_id) {
  const auto length = static_cast<std::int64_t>(target.size());
  const at::Tensor ids = at::tensor(target, at::kInt).to(at::kLong);
  const at::Tensor read = at::cat({at::full({1}, pad_id, at::kLong), ids.narrow(0, 0, length - 1)});
  batch.decoder = RowLayout(std::vector<std::int64_t>(static_cast<std::size_t>(batch.rows()), length));
  batch.targets = ids.repeat({batch.rows()});
  batch.decoder_ids = read.repeat({batch.rows()});
  return batch;
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  TT_CHECK(actual.sizes() == expected.sizes(), "shapes differ");
  const at::Tensor a = actual.detach().to(at::kDouble), b = expected.to(at::kDouble);
  return (a - b).abs().max().item<double>() / (b.abs().max().item<double>() + 1e-30);
}

}  // namespace trimtab::test
