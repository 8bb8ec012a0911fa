// SPDX-License-Identifier: Apache-2.0
#include "experiments/stage_weights.h"

#include <ATen/ATen.h>

#include <cstring>

#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {

StageWeights::StageWeights(const ModelStage& stage) {
  for (const auto& [name, value] : stage.base_weights()) tensors_.emplace(name, value.detach());
}

std::vector<std::string> StageWeights::names() const {
  std::vector<std::string> out;
  for (const auto& item : tensors_) out.push_back(item.first);
  return out;
}

TensorInfo StageWeights::info(const std::string& name) const {
  const at::Tensor& tensor = find(name);
  return {dtype_of(tensor), tensor.sizes().vec()};
}

void StageWeights::read(const std::string& name, const Slab& slab, DType type, void* out) const {
  at::Tensor part = find(name);
  for (std::size_t dim = 0; dim < slab.begin.size(); ++dim) {
    const auto d = static_cast<std::int64_t>(dim);
    if (slab.begin.size() != static_cast<std::size_t>(part.dim()) || slab.begin[dim] < 0 ||
        slab.begin[dim] + slab.count[dim] > part.size(d))
      fail("{}: the slab does not fit into the weight '{}'", path_, name);
    part = part.narrow(d, slab.begin[dim], slab.count[dim]);
  }
  const at::Tensor converted = part.cpu().to(scalar_type(type)).contiguous();
  std::memcpy(out, converted.const_data_ptr(), static_cast<std::size_t>(converted.nbytes()));
}

const at::Tensor& StageWeights::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail("{}: no weight '{}'{}", path_, name, did_you_mean(name, names()));
  return found->second;
}

}  // namespace trimtab
