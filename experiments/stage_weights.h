// SPDX-License-Identifier: Apache-2.0
//
// The base weights that a whole model holds in memory, as a TensorSource: what exports a trained model to a
// file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/model.h"
#include "runtime/tensor_source.h"

namespace trimtab {

class StageWeights final : public TensorSource {
 public:
  // Shares the storage of the stage's tensors, which must hold whole weights (one stage, one tensor rank).
  explicit StageWeights(const ModelStage& stage);

  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override { return tensors_.contains(name); }
  TensorInfo info(const std::string& name) const override;
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override;

 private:
  const at::Tensor& find(const std::string& name) const;

  std::map<std::string, at::Tensor> tensors_;
  std::string path_ = "the model in memory";
};

}  // namespace trimtab
