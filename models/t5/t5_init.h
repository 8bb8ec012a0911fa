// SPDX-License-Identifier: Apache-2.0
//
// The random weights from which pretraining starts, as a TensorSource: an element is a pure function of
// (seed, tensor, place), so that any layout of ranks starts from the same model.
#pragma once

#include "models/t5/t5_config.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// Normal numbers with T5's own standard deviations (t5x/examples/t5/layers.py: fan-in scaling, queries also
// by d_kv^-0.5 because attention is not scaled; embeddings 1; norms are ones).
class T5RandomWeights : public TensorSource {
 public:
  T5RandomWeights(const T5Config& config, std::uint64_t seed);

  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override;
  TensorInfo info(const std::string& name) const override;
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override;

 private:
  std::size_t index_of(const std::string& name) const;

  T5Config config_;
  std::uint64_t seed_;
  WeightShapes weights_;
  std::string path_ = "random weights";
};

}  // namespace trimtab
