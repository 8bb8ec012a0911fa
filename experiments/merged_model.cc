// SPDX-License-Identifier: Apache-2.0
#include "experiments/merged_model.h"

#include <ATen/ATen.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "experiments/trained_adapter.h"
#include "models/family.h"
#include "models/methods/linear_targets.h"
#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Change = std::function<at::Tensor(const at::Tensor& weight)>;

// The weights of a model, some of which are changed as they are read, in float32.
class ChangedWeights final : public TensorSource {
 public:
  ChangedWeights(std::unique_ptr<TensorSource> base, std::map<std::string, Change> changes)
      : base_(std::move(base)), changes_(std::move(changes)) {
    for (const auto& [name, change] : changes_)
      if (!base_->has(name)) fail("{}: there is no '{}' to merge into", base_->path(), name);
  }

  const std::string& path() const override { return base_->path(); }
  std::vector<std::string> names() const override { return base_->names(); }
  bool has(const std::string& name) const override { return base_->has(name); }
  TensorInfo info(const std::string& name) const override { return base_->info(name); }

  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    if (!changes_.contains(name)) return base_->read(name, slab, type, out);
    at::Tensor part = changed(name);
    for (std::size_t dim = 0; dim < slab.begin.size(); ++dim)
      part = part.narrow(static_cast<std::int64_t>(dim), slab.begin[dim], slab.count[dim]);
    const at::Tensor bytes = part.to(scalar_type(type)).contiguous();
    std::memcpy(out, bytes.const_data_ptr(), static_cast<std::size_t>(bytes.nbytes()));
  }

 private:
  // A weight is read slab by slab: the last one is kept.
  const at::Tensor& changed(const std::string& name) const {
    if (name == kept_name_) return kept_;
    at::Tensor weight = at::empty(base_->info(name).shape, at::kFloat);
    base_->read(name, {}, DType::kFloat32, weight.mutable_data_ptr());
    kept_ = changes_.at(name)(weight);
    TT_CHECK(kept_.sizes() == weight.sizes(), "{} changes its shape", name);
    kept_name_ = name;
    return kept_;
  }

  std::unique_ptr<TensorSource> base_;
  std::map<std::string, Change> changes_;
  mutable std::string kept_name_;
  mutable at::Tensor kept_;
};

at::Tensor tensor_of(const NamedArray& array) {
  return at::tensor(at::ArrayRef<float>(array.values), at::kFloat).view(array.shape);
}

void add_lora(const TrainedAdapter& trained, std::map<std::string, Change>& changes) {
  constexpr std::string_view kA = ".lora_A", kB = ".lora_B";
  std::map<std::string, at::Tensor> b_of;
  for (const NamedArray& array : trained.tensors)
    if (array.name.ends_with(kB))
      b_of[array.name.substr(0, array.name.size() - kB.size())] = tensor_of(array);
  for (const NamedArray& array : trained.tensors) {
    if (!array.name.ends_with(kA)) continue;
    const std::string module = array.name.substr(0, array.name.size() - kA.size());
    const at::Tensor a = tensor_of(array), b = b_of.at(module);
    const double scale = trained.lora_alpha / static_cast<double>(a.size(0));
    changes[module + ".weight"] = [=](const at::Tensor& weight) { return weight + scale * at::matmul(b, a); };
  }
}

// Factors of outputs count for a bias as well.
void add_ia3(const TrainedAdapter& trained, const TensorSource& base,
             std::map<std::string, Change>& changes) {
  constexpr std::string_view kFactors = ".ia3";
  for (const NamedArray& array : trained.tensors) {
    const std::string module = array.name.substr(0, array.name.size() - kFactors.size());
    const at::Tensor factors = tensor_of(array);
    if (is_target(module, trained.feed_forward)) {
      changes[module + ".weight"] = [=](const at::Tensor& weight) { return weight * factors; };
      continue;
    }
    changes[module + ".weight"] = [=](const at::Tensor& weight) { return weight * factors.unsqueeze(1); };
    if (base.has(module + ".bias"))
      changes[module + ".bias"] = [=](const at::Tensor& bias) { return bias * factors; };
  }
}

std::map<std::string, Change> changes_of(const Checkpoint& checkpoint, const TensorSource& base) {
  const std::string& method = checkpoint.info().method;
  std::map<std::string, Change> changes;
  if (method == "lora")
    add_lora(trained_adapter(checkpoint), changes);
  else if (method == "ia3")
    add_ia3(trained_adapter(checkpoint), base, changes);
  else if (method == "model_tuning")
    for (const std::string& name : checkpoint.values())
      changes[name] = [&checkpoint, name](const at::Tensor&) { return checkpoint.value(name); };
  else
    fail_config(
        "{}: what {} trains is no weight of the model, so there is nothing to merge; export it without "
        "--merge",
        checkpoint.store().path(), method);
  return changes;
}

}  // namespace

std::string merge_trained(const MergeRequest& wanted) {
  const Checkpoint checkpoint(wanted.checkpoint);
  const auto model = open_base_of(checkpoint, wanted.weights);
  checkpoint.check_base(weights_hash(model->weights()), model->weights().path());
  std::map<std::string, Change> changes = changes_of(checkpoint, model->weights());
  const std::size_t count = changes.size();
  const DType type = model->weights().info(model->embedding_name()).dtype;
  model->wrap_weights([&](std::unique_ptr<TensorSource> base) {
    return std::make_unique<ChangedWeights>(std::move(base), std::move(changes));
  });
  if (wanted.out.ends_with(".h5"))
    model->save(wanted.out, type);
  else
    model->export_hf(wanted.out);
  const std::string rounded =
      type == DType::kFloat32 ? "" : fmt::format(", rounded to {} as the model's weights are", name_of(type));
  return fmt::format("{}: the model with {} of its weights changed by {}{}", wanted.out, count,
                     checkpoint.info().method, rounded);
}

}  // namespace trimtab
