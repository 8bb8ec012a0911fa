// SPDX-License-Identifier: Apache-2.0
#include "models/methods/p_tuning.h"

#include <ATen/ATen.h>

#include <utility>

#include "models/methods/initial_values.h"

namespace trimtab {
namespace {

// The network is small and whole on every rank of the first stage, which all compute the same rows.
class PTuning final : public TuningMethod, private InputAdapter {
 public:
  explicit PTuning(Subtree& subtree) { read(subtree, options_); }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    places_ = context.places;
    stage.attach_input(this);
    if (!stage.embeds_input()) return {};
    const std::int64_t width = stage.width(), hidden = options_.hidden > 0 ? options_.hidden : width;
    const InitialValues draw(context.seed, stage);
    Parameters parameters;
    embedding_ = draw.normal("prompt_encoder.embedding", {options_.length, width}, options_.init_std);
    add(parameters, "embedding", embedding_);
    if (options_.encoder == "lstm") {
      add_lstm(parameters, draw, width, hidden);
      add_map(parameters, draw, {2 * hidden, 2 * hidden});
      add_map(parameters, draw, {width, 2 * hidden});
    } else {
      add_map(parameters, draw, {hidden, width});
      add_map(parameters, draw, {hidden, hidden});
      add_map(parameters, draw, {width, hidden});
    }
    return parameters;
  }

  bool set_enabled(ModelStage& stage, bool enabled) override {
    stage.attach_input(enabled ? this : nullptr);
    return true;
  }

  std::vector<NamedSlice> results() const override {
    if (!embedding_.defined()) return {};
    return {{"prompt", rows(0).detach(), kWhole}};
  }

  std::int64_t extra_positions() const override { return options_.length; }
  double suggested_learning_rate() const override { return 0.03; }

 private:
  struct Map {
    at::Tensor weight, bias;
  };

  std::vector<PromptPlace> places() const override { return places_; }
  std::int64_t positions(std::int32_t) const override { return options_.length; }

  at::Tensor rows(std::int32_t) const override {
    at::Tensor x = options_.encoder == "lstm" ? lstm_states() : embedding_;
    for (std::size_t i = 0; i < maps_.size(); ++i) {
      if (i > 0) x = at::relu(x);
      x = at::linear(x, maps_[i].weight, maps_[i].bias);
    }
    return x;
  }

  // [P, 2 hidden]: both directions side by side.
  at::Tensor lstm_states() const {
    const std::int64_t hidden = lstm_[1].size(1);
    const at::Tensor start =
        at::zeros({2 * options_.layers, 1, hidden}, embedding_.options().requires_grad(false));
    const auto [states, last, cell] =
        at::lstm(embedding_.unsqueeze(1), {start, start}, lstm_, /*has_biases=*/true, options_.layers,
                 /*dropout=*/0.0, /*train=*/false, /*bidirectional=*/true, /*batch_first=*/false);
    return states.squeeze(1);
  }

  void add_map(Parameters& parameters, const InitialValues& draw, const Shape& shape) {
    const std::string name = fmt::format("map.{}.", maps_.size());
    Map map{draw.linear("prompt_encoder." + name + "weight", shape), draw.zeros({shape[0]})};
    add(parameters, name + "weight", map.weight);
    add(parameters, name + "bias", map.bias);
    maps_.push_back(std::move(map));
  }

  // In the order that at::lstm wants: of each layer and direction the maps of its input and of its state,
  // then their biases; four gates each.
  void add_lstm(Parameters& parameters, const InitialValues& draw, std::int64_t width, std::int64_t hidden) {
    for (std::int64_t layer = 0; layer < options_.layers; ++layer)
      for (const char* direction : {"", "_reverse"}) {
        const std::string place = fmt::format("_l{}{}", layer, direction);
        const auto weight = [&](const char* what, std::int64_t in) {
          const std::string name = fmt::format("lstm.weight_{}{}", what, place);
          lstm_.push_back(draw.linear("prompt_encoder." + name, {4 * hidden, in}));
          add(parameters, name, lstm_.back());
        };
        weight("ih", layer == 0 ? width : 2 * hidden);
        weight("hh", hidden);
        for (const char* what : {"ih", "hh"}) {
          lstm_.push_back(draw.zeros({4 * hidden}));
          add(parameters, fmt::format("lstm.bias_{}{}", what, place), lstm_.back());
        }
      }
  }

  static void add(Parameters& parameters, const std::string& name, at::Tensor& leaf) {
    parameters.push_back({"prompt_encoder." + name, leaf.set_requires_grad(true)});
  }

  PTuningOptions options_;
  std::vector<PromptPlace> places_;
  at::Tensor embedding_;
  std::vector<at::Tensor> lstm_;
  std::vector<Map> maps_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_p_tuning(Subtree& options) { return std::make_unique<PTuning>(options); }

}  // namespace trimtab
