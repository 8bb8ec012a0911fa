// SPDX-License-Identifier: Apache-2.0
#include "experiments/base_hash.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "parallel/tensor.h"
#include "runtime/agreement.h"
#include "runtime/check.h"
#include "runtime/finite.h"
#include "runtime/sha256.h"

namespace trimtab {
std::string weights_hash(const TensorSource& weights) {
  weights.verify();
  constexpr std::int64_t kSlabElements = std::int64_t{1} << 22;
  Sha256 sha;
  std::vector<float> values;
  for (const std::string& name : weights.names()) {
    const std::vector<std::int64_t> shape = weights.info(name).shape;
    sha.update(fmt::format("{}|{}\n", name, fmt::join(shape, "|")));
    std::int64_t row = 1;
    for (std::size_t dim = 1; dim < shape.size(); ++dim) row *= shape[dim];
    const std::int64_t rows = shape.empty() ? 1 : shape[0],
                       step = std::max<std::int64_t>(1, kSlabElements / row);
    for (std::int64_t begin = 0; begin < rows; begin += step) {
      Slab slab{std::vector<std::int64_t>(shape.size(), 0), shape};
      if (!shape.empty()) {
        slab.begin[0] = begin;
        slab.count[0] = std::min(step, rows - begin);
      }
      values.resize(static_cast<std::size_t>((shape.empty() ? 1 : slab.count[0]) * row));
      weights.read(name, slab, DType::kFloat32, values.data());
      if (!all_finite(values))
        fail(
            "{}: '{}' has values that are not finite (NaN or infinite): nothing that is computed with them "
            "means "
            "anything; get the weights again",
            weights.path(), name);
      sha.update(values.data(), values.size() * sizeof(float));
    }
  }
  return sha.hex();
}

std::string base_hash(const ModelStage& stage) {
  std::vector<ModelStage::NamedTensor> weights = stage.base_weights();
  std::ranges::sort(weights, {}, &ModelStage::NamedTensor::name);
  Sha256 sha;
  for (const auto& [name, value] : weights) {
    // A view whose rows are not adjacent (part of a stacked matrix) is copied, one weight at a time.
    const at::Tensor bytes = value.detach().cpu().contiguous();
    sha.update(
        fmt::format("{}|{}|{}\n", name, name_of(dtype_of(bytes)), fmt::join(bytes.sizes().vec(), "|")));
    sha.update(bytes.const_data_ptr(), static_cast<std::size_t>(bytes.nbytes()));
  }
  return sha.hex();
}

std::string base_hash(const ModelStage& stage, Communicator& all) {
  const std::string here = base_hash(stage);
  return all.size() == 1 ? here : sha256_hex(fmt::format("{}", fmt::join(gather_texts(all, here), " ")));
}

std::string short_hash(const std::string& hash) { return hash.substr(0, 12); }

}  // namespace trimtab
