// SPDX-License-Identifier: Apache-2.0
//
// Reads the slabs of a model's weights that one tensor rank holds, straight into the tensors that the layers
// multiply with. Matrices that multiply the same input are stacked along their rows, so that they are one
// multiplication; the loader remembers which rows are which logical weight.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/model.h"
#include "runtime/communicator.h"
#include "runtime/tensor_source.h"

namespace trimtab {

class WeightLoader {
 public:
  // Both must outlive the loader. Tensors are handed out on `device`.
  WeightLoader(const TensorSource& source, const Communicator& tensor, DType compute,
               at::Device device = at::kCPU);

  at::Device device() const { return device_; }

  // A vector or matrix that every tensor rank holds whole, in float32 (norms) or the compute type.
  at::Tensor whole(const std::string& name, DType type);
  // A matrix [out, in] whose outputs tensor ranks share, so many rows of which stay together.
  struct Rows {
    std::string name;
    std::int64_t unit = 1;
  };
  // This rank's share of the rows of each, stacked: [sum of shares, in]. Vectors [out] (biases) give a
  // vector.
  at::Tensor row_shares(const std::vector<Rows>& matrices);
  // This rank's share of the columns, so many of which stay together: [out, share of in].
  at::Tensor column_share(const std::string& name, std::int64_t unit = 1);
  // The same in float32, for the relative-bias table [buckets, heads].
  at::Tensor column_share_float(const std::string& name);

  // All that was loaded, by logical name; the views share storage with the tensors handed out above.
  std::vector<ModelStage::NamedTensor> weights() const;
  // A map made of a weight that was handed out above, and the attention whose keys and values are among the
  // outputs of `map`, as sites.
  LinearSite site(ColumnParallelLinear& map) const { return {maps_in(map.weight()), 0, &map}; }
  LinearSite site(RowParallelLinear& map) const { return {maps_in(map.weight()), 1, &map}; }
  KeyValueSite key_value_site(const ColumnParallelLinear& map, const KeyValueAdapter*& slot) const;
  // Makes all of it trainable.
  Parameters make_trainable();

 private:
  struct Part {
    std::string name;
    std::int64_t row, rows;
    Cut cut;
  };
  struct Leaf {
    at::Tensor tensor;
    std::vector<Part> parts;
  };
  // The maps that are stacked in `weight` by module: names without ".weight".
  std::vector<LinearSite::Part> maps_in(const at::Tensor& weight) const;
  at::Tensor keep(const at::Tensor& tensor, std::vector<Part> parts);
  at::Tensor columns(const std::string& name, std::int64_t unit, DType type);

  const TensorSource& source_;
  const Communicator& tensor_;
  DType compute_;
  at::Device device_;
  std::vector<Leaf> leaves_;
};

}  // namespace trimtab
