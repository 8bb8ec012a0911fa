// SPDX-License-Identifier: Apache-2.0
#include "experiments/base_hash.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {

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

std::string short_hash(const std::string& hash) { return hash.substr(0, 12); }

}  // namespace trimtab
