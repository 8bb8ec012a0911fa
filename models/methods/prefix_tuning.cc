// SPDX-License-Identifier: Apache-2.0
#include "models/methods/prefix_tuning.h"

#include <ATen/ATen.h>

#include <functional>
#include <utility>

#include "models/methods/initial_values.h"
#include "parallel/collectives.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// What the keys and values of all attentions come from: hidden states of P positions.
struct PrefixNetwork {
  at::Tensor embedding;     // [P, d]
  at::Tensor weight, bias;  // [hidden, d], [hidden]

  // [P, hidden], the same on every tensor rank, which each go on to their share of the heads.
  at::Tensor hidden_states(Communicator& tensor) const {
    return enter_tensor_region(at::tanh(at::linear(embedding, weight, bias)), tensor);
  }
};

// A matrix [P, width of this rank] that is trained, or computed from the hidden states.
struct PrefixMatrix {
  at::Tensor direct;        // [P, width], or
  at::Tensor weight, bias;  // [width, hidden], [width]

  at::Tensor value(const std::function<at::Tensor()>& hidden_states) const {
    return direct.defined() ? direct : at::linear(hidden_states(), weight, bias);
  }
};

class AttentionPrefix final : public KeyValueAdapter {
 public:
  AttentionPrefix(KeyValueSite site, std::int64_t length, std::function<at::Tensor()> hidden_states)
      : site_(std::move(site)), length_(length), hidden_states_(std::move(hidden_states)) {}

  std::int64_t positions(std::int32_t) const override { return length_; }
  at::Tensor keys(std::int32_t) const override { return keys_.value(hidden_states_); }
  at::Tensor values(std::int32_t) const override { return values_.value(hidden_states_); }

  const KeyValueSite& site() const { return site_; }
  PrefixMatrix& key_matrix() { return keys_; }
  PrefixMatrix& value_matrix() { return values_; }

 private:
  KeyValueSite site_;
  std::int64_t length_;
  std::function<at::Tensor()> hidden_states_;
  PrefixMatrix keys_, values_;
};

class PrefixTuning final : public TuningMethod {
 public:
  explicit PrefixTuning(Subtree& subtree) {
    read(subtree, options_);
    if (!options_.encoder && !options_.decoder && !options_.cross)
      subtree.refuse("decoder", "encoder, decoder and cross are all false: there is nothing to train");
  }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    check_that_some_attention_is_chosen(stage);
    tensor_ = &stage.tensor_ranks();
    const InitialValues draw(context.seed, stage);
    Parameters parameters;
    for (const KeyValueSite& site : stage.key_value_sites()) {
      if (!is_chosen(site.module)) continue;
      if (has_network() && !network_.embedding.defined()) make_network(stage.width(), draw, parameters);
      auto prefix = std::make_unique<AttentionPrefix>(site, options_.length,
                                                      [this] { return network_.hidden_states(*tensor_); });
      make_matrix(prefix->key_matrix(), site.module + ".prefix_k", site, draw, parameters);
      make_matrix(prefix->value_matrix(), site.module + ".prefix_v", site, draw, parameters);
      prefixes_.push_back(std::move(prefix));
    }
    set_enabled(stage, true);
    return parameters;
  }

  bool set_enabled(ModelStage&, bool enabled) override {
    for (const auto& prefix : prefixes_) prefix->site().attach(enabled ? prefix.get() : nullptr);
    return true;
  }

  std::vector<NamedSlice> results() const override {
    std::vector<NamedSlice> out;
    if (!has_network()) return out;
    for (const auto& prefix : prefixes_) {
      const Cut cut = columns(prefix->site());
      out.push_back({prefix->site().module + ".prefix_k", prefix->keys(0).detach(), cut});
      out.push_back({prefix->site().module + ".prefix_v", prefix->values(0).detach(), cut});
    }
    return out;
  }

  std::int64_t attention_positions() const override { return options_.length; }
  double suggested_learning_rate() const override { return has_network() ? 0.001 : 0.03; }

 private:
  bool has_network() const { return options_.reparameterisation == "mlp"; }

  bool is_chosen(const std::string& attention) const {
    if (attention.starts_with("encoder.")) return options_.encoder;
    return attention.ends_with("EncDecAttention") ? options_.cross : options_.decoder;
  }

  void check_that_some_attention_is_chosen(const ModelStage& stage) const {
    for (const std::string& attention : stage.attention_modules())
      if (is_chosen(attention)) return;
    fail_config(
        "method: encoder {}, decoder {}, cross {} leaves no attention of this model to put a prefix into",
        options_.encoder, options_.decoder, options_.cross);
  }

  void make_network(std::int64_t width, const InitialValues& draw, Parameters& parameters) {
    network_.embedding = draw.normal("prefix.embedding", {options_.length, width}, options_.init_std);
    network_.weight = draw.linear("prefix.hidden.weight", {options_.hidden, width});
    network_.bias = draw.zeros({options_.hidden});
    add(parameters, "prefix.embedding", network_.embedding, kWhole);
    add(parameters, "prefix.hidden.weight", network_.weight, kWhole);
    add(parameters, "prefix.hidden.bias", network_.bias, kWhole);
  }

  void make_matrix(PrefixMatrix& matrix, const std::string& name, const KeyValueSite& site,
                   const InitialValues& draw, Parameters& parameters) const {
    if (!has_network()) {
      matrix.direct = draw.normal(name, {options_.length, site.cut.size}, options_.init_std, columns(site));
      add(parameters, name, matrix.direct, columns(site));
      return;
    }
    matrix.weight = draw.linear(name + ".weight", {site.cut.size, options_.hidden}, site.cut);
    matrix.bias = draw.zeros({site.width});
    add(parameters, name + ".weight", matrix.weight, site.cut);
    add(parameters, name + ".bias", matrix.bias, site.cut);
  }

  // Of the keys [P, width] that the site's matrices would make.
  static Cut columns(const KeyValueSite& site) { return {1, site.cut.size, site.cut.unit}; }

  static void add(Parameters& parameters, const std::string& name, at::Tensor& leaf, const Cut& cut) {
    parameters.push_back({name, leaf.set_requires_grad(true), 0, -1, cut});
  }

  PrefixTuningOptions options_;
  Communicator* tensor_ = nullptr;
  PrefixNetwork network_;
  std::vector<std::unique_ptr<AttentionPrefix>> prefixes_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_prefix_tuning(Subtree& options) {
  return std::make_unique<PrefixTuning>(options);
}

}  // namespace trimtab
