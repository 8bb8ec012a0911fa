// SPDX-License-Identifier: Apache-2.0
#include "models/methods/lora.h"

#include <ATen/ATen.h>

#include <utility>

#include "models/methods/initial_values.h"
#include "models/methods/linear_targets.h"
#include "models/ops/dropout.h"
#include "parallel/collectives.h"

namespace trimtab {
namespace {

// Dropout sites of layers are below.
constexpr std::uint32_t kDropoutSites = std::uint32_t{1} << 31;

// The terms of the maps that are one multiplication.
class LoraTerms final : public LinearAdapter {
 public:
  struct Term {
    at::Tensor a, b;                 // [rank, in], [rows, rank]; the shares of this rank
    std::int64_t row = 0, rows = 0;  // outputs that the term is added to
  };

  LoraTerms(const LinearSite& site, Communicator& tensor, const LoraOptions& options)
      : site_(site),
        tensor_(tensor),
        scale_(options.alpha / static_cast<double>(options.rank)),
        dropout_(options.dropout),
        dropout_site_(kDropoutSites | static_cast<std::uint32_t>(number_of(site.parts[0].module))) {}

  void add(Term term) { terms_.push_back(std::move(term)); }
  const LinearSite& site() const { return site_; }

  at::Tensor output(const at::Tensor& x_ti, const at::Tensor& y_to, const AdapterPass* pass) const override {
    std::vector<at::Tensor> a, b;
    for (const Term& term : terms_) {
      a.push_back(term.a);
      b.push_back(at::constant_pad_nd(term.b, {0, 0, term.row, y_to.size(1) - term.row - term.rows}));
    }
    const at::Tensor narrow =
        at::matmul(dropped(x_ti, pass), of_all_ranks(at::cat(a), 1).to(x_ti.scalar_type()).t());
    const at::Tensor wide = of_all_ranks(at::cat(b, 1), 0).to(y_to.scalar_type());
    return at::Tensor(y_to).addmm_(narrow, wide.t(), 1.0, scale_);
  }

 private:
  // A factor that is not cut has parts of its gradient on every tensor rank.
  at::Tensor of_all_ranks(const at::Tensor& factor, int cut_where) const {
    return site_.cut == cut_where ? factor : enter_tensor_region(factor, tensor_);
  }

  at::Tensor dropped(const at::Tensor& x_ti, const AdapterPass* pass) const {
    if (!pass || !pass->training || dropout_ == 0.0) return x_ti;
    const Cut& cut = site_.parts[0].cut;
    const Share own = cut.dim == 1 ? share_of(cut, tensor_) : Share{0, x_ti.size(1)};
    const at::Tensor mask = dropout_mask(pass->samples, cut.dim == 1 ? cut.size : own.count, dropout_,
                                         pass->seed, pass->step, dropout_site_);
    return dropout_rows(x_ti, mask.narrow(1, own.begin, own.count).contiguous(), pass->layout);
  }

  LinearSite site_;
  Communicator& tensor_;
  double scale_, dropout_;
  std::uint32_t dropout_site_;
  std::vector<Term> terms_;
};

class Lora final : public TuningMethod {
 public:
  explicit Lora(Subtree& subtree) { read(subtree, options_); }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    check_targets(stage, options_.targets, "method.targets");
    if (options_.targets.empty()) options_.targets = targets_in(stage, {"q", "v", "q_proj", "v_proj"});
    Parameters parameters;
    for (const LinearSite& site : stage.linear_sites()) {
      auto terms = std::make_unique<LoraTerms>(site, stage.tensor_ranks(), options_);
      bool any = false;
      for (const LinearSite::Part& part : site.parts) {
        if (!is_target(part.module, options_.targets)) continue;
        add_term(*terms, part, stage, context.seed, parameters);
        any = true;
      }
      if (any) maps_.push_back(std::move(terms));
    }
    set_enabled(stage, true);
    return parameters;
  }

  bool set_enabled(ModelStage&, bool enabled) override {
    for (const auto& terms : maps_) terms->site().map->attach(enabled ? terms.get() : nullptr);
    return true;
  }

  double suggested_learning_rate() const override { return 0.003; }

 private:
  void add_term(LoraTerms& terms, const LinearSite::Part& part, ModelStage& stage, std::uint64_t seed,
                Parameters& parameters) {
    // A shares the inputs as the map does, B the outputs.
    const Cut a_cut = part.cut.dim == 1 ? part.cut : kWhole, b_cut = part.cut.dim == 0 ? part.cut : kWhole;
    const std::int64_t in = part.cut.dim == 1 ? part.cut.size : terms.site().map->weight().size(1);
    // As PEFT begins: A is random, B zero.
    const InitialValues draw(seed, stage);
    LoraTerms::Term term{draw.linear(part.module + ".lora_A", {options_.rank, in}, a_cut),
                         draw.zeros({part.rows, options_.rank}), part.row, part.rows};
    parameters.push_back({part.module + ".lora_A", term.a.set_requires_grad(true), 0, -1, a_cut});
    parameters.push_back({part.module + ".lora_B", term.b.set_requires_grad(true), 0, -1, b_cut});
    terms.add(std::move(term));
  }

  LoraOptions options_;
  std::vector<std::unique_ptr<LoraTerms>> maps_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_lora(Subtree& options) { return std::make_unique<Lora>(options); }

}  // namespace trimtab
