// SPDX-License-Identifier: Apache-2.0
#include "models/methods/ia3.h"

#include <ATen/ATen.h>

#include <utility>

#include "models/methods/linear_targets.h"
#include "parallel/collectives.h"

namespace trimtab {
namespace {

// The factors of the maps that are one multiplication.
class Ia3Factors final : public LinearAdapter {
 public:
  struct Factor {
    at::Tensor values;               // [rows]
    std::int64_t row = 0, rows = 0;  // outputs that are scaled
  };

  Ia3Factors(const LinearSite& site, Communicator& tensor) : site_(site), tensor_(tensor) {}

  void scale_outputs(Factor factor) { outputs_.push_back(std::move(factor)); }
  void scale_inputs(at::Tensor values) { inputs_ = std::move(values); }
  const LinearSite& site() const { return site_; }
  bool any() const { return inputs_.defined() || !outputs_.empty(); }

  at::Tensor input(const at::Tensor& x_ti) const override {
    return inputs_.defined() ? x_ti * of_all_ranks(inputs_, 1).to(x_ti.scalar_type()) : x_ti;
  }

  at::Tensor output(const at::Tensor&, const at::Tensor& y_to, const AdapterPass*) const override {
    if (outputs_.empty()) return y_to;
    std::vector<at::Tensor> parts;
    std::int64_t end = 0;
    const auto ones_up_to = [&](std::int64_t row) {
      if (row > end)
        parts.push_back(at::ones({row - end}, outputs_[0].values.options().requires_grad(false)));
    };
    for (const Factor& factor : outputs_) {
      ones_up_to(factor.row);
      parts.push_back(factor.values);
      end = factor.row + factor.rows;
    }
    ones_up_to(y_to.size(1));
    return y_to * of_all_ranks(at::cat(parts), 0).to(y_to.scalar_type());
  }

 private:
  // Factors that are not cut have parts of their gradient on every tensor rank.
  at::Tensor of_all_ranks(const at::Tensor& factors, int cut_where) const {
    return site_.cut == cut_where ? factors : enter_tensor_region(factors, tensor_);
  }

  LinearSite site_;
  Communicator& tensor_;
  std::vector<Factor> outputs_;
  at::Tensor inputs_;
};

class Ia3 final : public TuningMethod {
 public:
  explicit Ia3(Subtree& subtree) { read(subtree, options_); }

  Parameters attach(ModelStage& stage, const MethodContext&) override {
    check_targets(stage, options_.targets, "method.targets");
    check_targets(stage, options_.feed_forward, "method.feed_forward");
    if (options_.targets.empty() && options_.feed_forward.empty()) {
      options_.targets = targets_in(stage, {"k", "v", "k_proj", "v_proj"});
      options_.feed_forward = targets_in(stage, {"wo", "down_proj"});
    }
    Parameters parameters;
    for (const LinearSite& site : stage.linear_sites()) {
      auto factors = std::make_unique<Ia3Factors>(site, stage.tensor_ranks());
      for (const LinearSite::Part& part : site.parts) add_factors(*factors, part, parameters);
      if (factors->any()) maps_.push_back(std::move(factors));
    }
    set_enabled(stage, true);
    return parameters;
  }

  bool set_enabled(ModelStage&, bool enabled) override {
    for (const auto& factors : maps_) factors->site().map->attach(enabled ? factors.get() : nullptr);
    return true;
  }

  // The paper has 0.003 (section 3.3), for runs that are many times longer.
  double suggested_learning_rate() const override { return 0.03; }

 private:
  void add_factors(Ia3Factors& factors, const LinearSite::Part& part, Parameters& parameters) {
    const LinearSite& site = factors.site();
    const bool inputs = is_target(part.module, options_.feed_forward);
    if (!inputs && !is_target(part.module, options_.targets)) return;
    if (inputs && site.parts.size() > 1)
      fail_config(
          "method.feed_forward: {} is one multiplication with other maps of the same input, which cannot be "
          "scaled for it alone; name it in method.targets",
          part.module);
    const at::Tensor values = at::ones({inputs ? site.map->weight().size(1) : part.rows},
                                       at::TensorOptions(at::kFloat).device(site.map->weight().device()))
                                  .set_requires_grad(true);
    const bool shared = part.cut.dim == (inputs ? 1 : 0);
    parameters.push_back(
        {part.module + ".ia3", values, 0, -1, shared ? Cut{0, part.cut.size, part.cut.unit} : kWhole});
    if (inputs)
      factors.scale_inputs(values);
    else
      factors.scale_outputs({values, part.row, part.rows});
  }

  Ia3Options options_;
  std::vector<std::unique_ptr<Ia3Factors>> maps_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_ia3(Subtree& options) { return std::make_unique<Ia3>(options); }

}  // namespace trimtab
