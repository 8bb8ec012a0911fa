// SPDX-License-Identifier: Apache-2.0
#include "models/weight_loader.h"

#include <ATen/ops/empty.h>

#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {

WeightLoader::WeightLoader(const TensorSource& source, const Communicator& tensor, DType compute,
                           at::Device device)
    : source_(source), tensor_(tensor), compute_(compute), device_(device) {}

at::Tensor WeightLoader::keep(const at::Tensor& tensor, std::vector<Part> parts) {
  leaves_.push_back({tensor.to(device_), std::move(parts)});
  return leaves_.back().tensor;
}

at::Tensor WeightLoader::whole(const std::string& name, DType type) {
  const Shape shape = source_.info(name).shape;
  at::Tensor tensor = at::empty(shape, scalar_type(type));
  source_.read(name, {}, type, tensor.data_ptr());
  return keep(tensor, {{name, 0, -1, kWhole}});
}

at::Tensor WeightLoader::row_shares(const std::vector<Rows>& matrices) {
  std::vector<Part> parts;
  std::int64_t total = 0;
  Shape stacked;
  for (const auto& [name, unit] : matrices) {
    stacked = source_.info(name).shape;
    const Cut cut{0, stacked[0], unit};
    parts.push_back({name, total, share_of(cut, tensor_).count, cut});
    total += parts.back().rows;
  }
  stacked[0] = total;
  at::Tensor tensor = at::empty(stacked, scalar_type(compute_));
  for (const Part& part : parts) {
    at::Tensor rows = tensor.narrow(0, part.row, part.rows);
    const Slab share = slab_of_dim(source_.info(part.name).shape, 0, share_of(part.cut, tensor_));
    source_.read(part.name, share, compute_, rows.data_ptr());
  }
  if (parts.size() == 1) parts[0].rows = -1;
  return keep(tensor, std::move(parts));
}

at::Tensor WeightLoader::columns(const std::string& name, std::int64_t unit, DType type) {
  const Shape shape = source_.info(name).shape;
  const Cut cut{1, shape[1], unit};
  const Slab share = slab_of_dim(shape, 1, share_of(cut, tensor_));
  at::Tensor tensor = at::empty(share.count, scalar_type(type));
  source_.read(name, share, type, tensor.data_ptr());
  return keep(tensor, {{name, 0, -1, cut}});
}

at::Tensor WeightLoader::column_share(const std::string& name, std::int64_t unit) {
  return columns(name, unit, compute_);
}

at::Tensor WeightLoader::column_share_float(const std::string& name) {
  return columns(name, 1, DType::kFloat32);
}

std::vector<ModelStage::NamedTensor> WeightLoader::weights() const {
  std::vector<ModelStage::NamedTensor> result;
  for (const Leaf& leaf : leaves_)
    for (const Part& part : leaf.parts)
      result.push_back({part.name, Parameter{part.name, leaf.tensor, part.row, part.rows}.value()});
  return result;
}

std::vector<LinearSite::Part> WeightLoader::maps_in(const at::Tensor& weight) const {
  constexpr std::string_view kEnding = ".weight";
  std::vector<LinearSite::Part> maps;
  for (const Leaf& leaf : leaves_) {
    if (!leaf.tensor.is_same(weight)) continue;
    for (const Part& part : leaf.parts)
      maps.push_back({part.name.substr(0, part.name.size() - kEnding.size()), part.row,
                      part.rows < 0 ? weight.size(0) : part.rows, part.cut});
  }
  TT_CHECK(!maps.empty(), "a weight of {} rows is none of this loader's", weight.size(0));
  return maps;
}

KeyValueSite WeightLoader::key_value_site(const ColumnParallelLinear& map,
                                          const KeyValueAdapter*& slot) const {
  // Values are the last of the stacked maps, keys are as wide.
  const LinearSite::Part values = maps_in(map.weight()).back();
  return {values.module.substr(0, values.module.rfind('.')), values.rows, values.cut, &slot};
}

Parameters WeightLoader::make_trainable() {
  Parameters result;
  for (Leaf& leaf : leaves_) {
    leaf.tensor.set_requires_grad(true);
    for (const Part& part : leaf.parts)
      result.push_back({part.name, leaf.tensor, part.row, part.rows, part.cut});
  }
  return result;
}

}  // namespace trimtab
