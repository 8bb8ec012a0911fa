// SPDX-License-Identifier: Apache-2.0
#include "experiments/parameter_counts.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string_view>

#include "experiments/results.h"
#include "models/family.h"
#include "models/t5/t5_config.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::int64_t kPrefixHidden = 512;  // PrefixTuningOptions::hidden
constexpr std::int64_t kLstmLayers = 2;      // PTuningOptions::layers
constexpr std::int64_t kWarpClasses = 2;

std::string last_part(const std::string& module) { return module.substr(module.rfind('.') + 1); }

bool is_one_of(const std::string& module, const std::vector<std::string_view>& names) {
  return std::ranges::count(names, last_part(module)) > 0;
}

std::int64_t sum_over_maps(const ModelSizes& model, const std::vector<std::string_view>& names,
                           const std::function<std::int64_t(const ModelSizes::Map&)>& count) {
  std::int64_t sum = 0;
  for (const ModelSizes::Map& map : model.maps)
    if (is_one_of(map.module, names)) sum += count(map);
  return sum;
}

// Of a linear map with biases.
std::int64_t affine(std::int64_t in, std::int64_t out) { return in * out + out; }

// Of all keys and values of one position.
std::int64_t keys_and_values(const ModelSizes& model) {
  return 2 * std::accumulate(model.attentions.begin(), model.attentions.end(), std::int64_t{0});
}

std::int64_t prompt(const ModelSizes& model, std::int64_t length) { return length * model.width; }

std::int64_t warp(const ModelSizes& model, std::int64_t length) {
  return (length + kWarpClasses) * model.width;
}

std::int64_t prefix_activations(const ModelSizes& model, std::int64_t length) {
  return length * model.layers * model.width;
}

std::int64_t prefix(const ModelSizes& model, std::int64_t length) { return length * keys_and_values(model); }

std::int64_t prefix_mlp(const ModelSizes& model, std::int64_t length) {
  return length * model.width + affine(model.width, kPrefixHidden) +
         affine(kPrefixHidden, keys_and_values(model));
}

std::int64_t p_tuning_mlp(const ModelSizes& model, std::int64_t length) {
  return length * model.width + 3 * affine(model.width, model.width);
}

// Four gates with two biases each in both directions; the layers above the first read both directions.
std::int64_t p_tuning_lstm(const ModelSizes& model, std::int64_t length) {
  const std::int64_t d = model.width;
  std::int64_t count = length * d + affine(2 * d, 2 * d) + affine(2 * d, d);
  for (std::int64_t layer = 0; layer < kLstmLayers; ++layer)
    count += 2 * 4 * d * ((layer == 0 ? d : 2 * d) + d + 2);
  return count;
}

std::int64_t lora(const ModelSizes& model, std::int64_t rank) {
  return sum_over_maps(model, {"q", "v", "q_proj", "v_proj"},
                       [rank](const ModelSizes::Map& map) { return rank * (map.in + map.out); });
}

std::int64_t ia3(const ModelSizes& model, std::int64_t) {
  return sum_over_maps(model, {"k", "v", "k_proj", "v_proj"},
                       [](const ModelSizes::Map& map) { return map.out; }) +
         sum_over_maps(model, {"wo", "down_proj"}, [](const ModelSizes::Map& map) { return map.in; });
}

std::int64_t everything(const ModelSizes& model, std::int64_t) { return model.parameters; }
std::int64_t nothing(const ModelSizes&, std::int64_t) { return 0; }
std::int64_t ids_of_text(const ModelSizes&, std::int64_t ids) { return ids; }

const std::vector<std::int64_t>& values_of(const CountedMethod& method, const CountRequest& request) {
  static const std::vector<std::int64_t> none = {0};
  switch (method.axis) {
    case CountAxis::kLength:
      return request.lengths;
    case CountAxis::kRank:
      return request.ranks;
    case CountAxis::kIds:
      return request.ids;
    case CountAxis::kNone:
      break;
  }
  return none;
}

std::string axis_name(CountAxis axis) {
  switch (axis) {
    case CountAxis::kLength:
      return "length";
    case CountAxis::kRank:
      return "rank";
    case CountAxis::kIds:
      return "ids";
    case CountAxis::kNone:
      break;
  }
  return "";
}

std::vector<std::int64_t> from_to(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(last - first + 1));
  std::iota(out.begin(), out.end(), first);
  return out;
}

// The curve of a method over the models.
Curve curve_of(const CountedMethod& method, const CountRequest& request) {
  const std::vector<std::int64_t>& values = values_of(method, request);
  Curve out{method.title, {}};
  if (method.axis == CountAxis::kRank) {
    const auto [low, high] = std::ranges::minmax(values);
    out.name += low == high ? fmt::format(", rank {}", low) : fmt::format(", ranks {} to {}", low, high);
  }
  for (const ModelSizes& model : request.models) {
    std::vector<double> shares;
    for (const std::int64_t value : values) shares.push_back(method.share_percent(model, value));
    const Statistic share = statistic_of(shares);
    if (share.mean > 0)
      out.points.push_back({static_cast<double>(model.parameters), share.mean, share.deviation});
  }
  std::ranges::sort(out.points, {}, &PlotPoint::x);
  return out;
}

}  // namespace

ModelSizes sizes_of(const std::string& name, const WeightShapes& weights, const std::string& embedding) {
  ModelSizes out;
  out.name = name;
  out.parameters = element_count(weights);
  std::set<std::string> blocks;
  for (const WeightShape& weight : weights) {
    if (weight.name == embedding) {
      TT_CHECK(weight.shape.size() == 2, "{}: the embedding has {} dims", name, weight.shape.size());
      out.width = weight.shape[1];
      continue;
    }
    if (weight.shape.size() != 2 || !weight.name.ends_with(kWeight)) continue;
    const std::string module = weight.name.substr(0, weight.name.size() - kWeight.size());
    if (module == "lm_head" || is_one_of(module, {"relative_attention_bias"})) continue;
    out.maps.push_back({module, weight.shape[0], weight.shape[1]});
    if (is_one_of(module, {"k", "k_proj"})) out.attentions.push_back(weight.shape[0]);
    // "encoder.block.3.layer..." and "model.layers.3.self_attn...": a block is what ends with its number.
    const auto digit = module.find_first_of("0123456789");
    blocks.insert(module.substr(0, module.find('.', digit)));
  }
  out.layers = static_cast<std::int64_t>(blocks.size());
  TT_CHECK(out.width > 0, "{}: '{}' is not among the weights", name, embedding);
  return out;
}

ModelSizes sizes_of_model(const std::string& name_or_path) {
  constexpr std::array<std::string_view, 5> kPaper = {"small", "base", "large", "xl", "xxl"};
  if (std::ranges::count(kPaper, name_or_path) > 0)
    return sizes_of("T5 1.1 " + name_or_path, t5_weights(t5_preset(name_or_path)), "shared.weight");
  const auto model = open_model(name_or_path);
  WeightShapes weights;
  for (const std::string& name : model->weights().names())
    weights.push_back({name, model->weights().info(name).shape});
  ModelSizes out = sizes_of(name_or_path, weights, model->embedding_name());
  out.parameters = model->parameter_count();
  return out;
}

std::int64_t CountedMethod::total(const ModelSizes& model, std::int64_t value) const {
  const std::int64_t count = trained(model, value);
  return count == model.parameters ? count : model.parameters + count;
}

double CountedMethod::share_percent(const ModelSizes& model, std::int64_t value) const {
  return 100.0 * static_cast<double>(trained(model, value)) / static_cast<double>(total(model, value));
}

// d: width, L: layers of both stacks, P: length, r: rank, h: hidden width of a network.
const Registry<CountedMethod>& counted_methods() {
  using enum CountAxis;
  static const Registry<CountedMethod> registry(
      "method",
      {
          {"model_tuning",
           {"model tuning", "every weight (Lester et al. 2021, section 3.1)", kNone, true, "model_tuning", "",
            everything}},
          {"prefix_tuning_mlp",
           {"prefix tuning, with MLP",
            "P d + (d + 1) h + (h + 1) of each key and value, h 512 (Li and Liang 2021, section 4.3)",
            kLength, true, "prefix_tuning", "length: {}, reparameterisation: mlp", prefix_mlp}},
          {"prefix_tuning",
           {"prefix tuning",
            "P for each key and value of every attention (Li and Liang 2021; P-tuning v2, Liu et al. 2022)",
            kLength, true, "prefix_tuning", "length: {}", prefix}},
          {"prefix_activations",
           {"prefix, one activation a layer",
            "P L d; inferred from the shares that Lester et al. 2021 name in section 4", kLength, false, "",
            "", prefix_activations}},
          {"lora",
           {"LoRA", "r (inputs + outputs) of every q and v (Hu et al. 2022, section 4.2)", kRank, true,
            "lora", "rank: {}", lora}},
          {"ia3",
           {"IA3",
            "outputs of every k and v, inputs of the last map of every feed-forward block (Liu et al. 2022, "
            "section 3.3)",
            kNone, true, "ia3", "", ia3}},
          {"p_tuning",
           {"P-tuning, MLP", "P d + 3 (d + 1) d (Liu et al. 2021; PEFT's encoder)", kLength, false,
            "p_tuning", "length: {}", p_tuning_mlp}},
          {"p_tuning_lstm",
           {"P-tuning, LSTM",
            "P d + two layers of 8 d (inputs + d + 2) + two maps (Liu et al. 2021; PEFT's encoder)", kLength,
            false, "p_tuning", "length: {}, encoder: lstm", p_tuning_lstm}},
          {"warp",
           {"WARP", "(P + C) d for C = 2 classes (Hambardzumyan et al. 2021)", kLength, true, "", "", warp}},
          {"prompt_tuning",
           {"prompt tuning", "P d (Lester et al. 2021, section 2 and table 4)", kLength, true,
            "prompt_tuning", "length: {}", prompt}},
          {"prompt_design",
           {"prompt design", "an id is counted as a number (Lester et al. 2021, footnote 9)", kIds, true, "",
            "", ids_of_text}},
          {"hard_prompt", {"hard prompt", "nothing is trained", kNone, false, "hard_prompt", "", nothing}},
          {"zero_shot", {"zero-shot", "nothing is trained", kNone, false, "zero_shot", "", nothing}},
      });
  return registry;
}

std::string count_table(const CountRequest& request, TableFormat format) {
  const std::vector<std::string> names =
      request.methods.empty() ? counted_methods().names() : request.methods;
  std::vector<Cells> lines = {
      {"model", "method", "setting", "trained parameters", "with the model", "percent of these"}};
  for (const ModelSizes& model : request.models)
    for (const std::string& name : names) {
      const CountedMethod& method = counted_methods().find(name, "--methods");
      for (const std::int64_t value : values_of(method, request))
        lines.push_back(
            {model.name, name,
             method.axis == CountAxis::kNone ? "-" : fmt::format("{} {}", axis_name(method.axis), value),
             std::to_string(method.trained(model, value)), std::to_string(method.total(model, value)),
             fmt::format("{:.5f}", method.share_percent(model, value))});
    }
  return write_table(lines, 3, format);
}

Plot count_plot(const CountRequest& request) {
  constexpr std::int64_t kLongest = 100, kFewestIds = 500, kMostIds = 2000;
  CountRequest drawn = request;
  drawn.lengths = from_to(1, kLongest);
  drawn.ids = from_to(kFewestIds, kMostIds);
  Plot out;
  out.title = fmt::format("prompts and prefixes of 1 to {} positions, written ones of {} to {} ids", kLongest,
                          kFewestIds, kMostIds);
  out.x_label = "parameters of the model";
  out.y_label = "trained parameters, percent of all";
  out.few_points = true;
  out.log_y = true;
  for (const auto& [name, method] : counted_methods().entries()) {
    const bool named = std::ranges::count(request.methods, name) > 0;
    if (!(request.methods.empty() ? method.drawn : named)) continue;
    Curve curve = curve_of(method, drawn);
    if (!curve.points.empty()) out.curves.push_back(std::move(curve));
  }
  return out;
}

}  // namespace trimtab
