// SPDX-License-Identifier: Apache-2.0
//
// Models of which only names and shapes are known: for plans, which need no weights, and of models that are
// on no disk here.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/family.h"

namespace trimtab {

// Weights that take no memory. Reading one leaves the memory that was given as it is.
class ShapesOnly : public TensorSource {
 public:
  ShapesOnly(const WeightShapes& weights, std::string path);
  explicit ShapesOnly(const TensorSource& source);

  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override { return weights_.contains(name); }
  TensorInfo info(const std::string& name) const override;
  void read(const std::string&, const Slab&, DType, void*) const override {}

 private:
  std::map<std::string, TensorInfo> weights_;
  std::string path_;
};

// From now on nothing reads the model's weights.
void forget_weights(BaseModel& model);

// A T5 1.1 by its size ("small" to "xxl"), or the folder of a Hugging Face model of which config.json is
// enough. Throws ConfigError for anything else.
std::unique_ptr<BaseModel> model_of_shape(const std::string& size_or_folder);

}  // namespace trimtab
