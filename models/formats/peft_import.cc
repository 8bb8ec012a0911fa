// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "models/formats/json_fields.h"
#include "models/formats/peft_methods.h"
#include "models/formats/peft_parts.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {

using namespace peft;

namespace {

// One adapter on its way in: its config's fields, and what messages begin with.
struct Source {
  const PeftAdapter& adapter;
  const PeftBase& base;
  Json json;
  JsonFields fields;
  std::vector<std::string> notes{};

  Source(const PeftAdapter& from, const PeftBase& to)
      : adapter(from), base(to), json(from.config), fields(json, from.path + ": adapter_config.json") {}

  const std::string& where() const { return adapter.path; }
  bool encoder_decoder() const { return base.attention.encoder_layers > 0; }

  std::int64_t need(const char* name) const {
    std::int64_t value = 0;
    fields.need(name, value);
    return value;
  }

  // The only tensor of the methods that have one.
  const NamedArray& prompt() const {
    if (adapter.tensors.size() != 1 || adapter.tensors.front().name != kPrompt)
      fail_config("{}: exactly the tensor '{}' is expected", where(), kPrompt);
    return adapter.tensors.front();
  }

  std::int64_t positions() const {
    const std::int64_t count = need("num_virtual_tokens");
    if (count < 1)
      fail_config("{}: num_virtual_tokens is {}, but should be 1 or more", fields.where(), count);
    return count;
  }

  // How often PEFT counts the rows: 1 or 2.
  std::int64_t submodules() const {
    std::int64_t value = encoder_decoder() ? 2 : 1;
    fields.may("num_transformer_submodules", value);
    if (value != 1 && value != 2)
      fail_config("{}: num_transformer_submodules is {}, only 1 and 2 are known", where(), value);
    return value;
  }

  // Options that change what is computed, and which we do not have.
  void refuse(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      const Json* value = fields.find(name);
      const bool off = value == nullptr || *value == false || *value == "none" ||
                       (value->is_structured() && value->empty());
      if (!off)
        fail_config("{}: '{}' is {}: an adapter with it is not read", fields.where(), name, value->dump());
    }
  }
};

void check_task(const Source& source) {
  std::string task;
  if (!source.fields.may("task_type", task)) return;
  const char* expected = source.encoder_decoder() ? "SEQ_2_SEQ_LM" : "CAUSAL_LM";
  if (task != expected)
    fail_config("{}: task_type is {}, but this model is used as {}", source.fields.where(), task, expected);
}

TrainedAdapter prompt_from(Source& source) {
  const std::int64_t length = source.positions(), width = source.base.attention.width;
  NamedArray rows = source.prompt();
  const std::int64_t times = source.submodules();
  if (rows.shape.size() == 2 && rows.shape[0] != times * length)
    fail_config(
        "{}: '{}' has {} rows, but adapter_config.json says {} x {}: num_virtual_tokens and "
        "num_transformer_submodules",
        source.where(), rows.name, rows.shape[0], length, times);
  check_array(source.where(), rows, {times * length, width});
  if (times == 2)
    source.notes.push_back(
        fmt::format("of its {} rows the first {} are used, as PEFT does", 2 * length, length));
  rows.name = "prompt";
  rows.shape[0] = length;
  rows.values.resize(static_cast<std::size_t>(length * width));
  return {"prompt_tuning", {std::move(rows)}};
}

// Entry e of PEFT's matrix [positions, entries, width].
std::vector<float> entry_of(const NamedArray& matrix, std::int64_t entry, std::int64_t width) {
  const std::int64_t positions = matrix.shape[0], entries = matrix.shape[1] / width;
  std::vector<float> out(static_cast<std::size_t>(positions * width));
  for (std::int64_t p = 0; p < positions; ++p)
    std::copy_n(matrix.values.begin() + (p * entries + entry) * width, width, out.begin() + p * width);
  return out;
}

// PEFT repeats the 2 * layers entries `submodules` times behind each other, cuts them into parts of
// 2 * submodules, and of a part the decoder's self-attention takes the first two. With 2 submodules, layer i
// so reads the entries 4 i and 4 i + 1, counted around.
TrainedAdapter prefix_from(Source& source) {
  const AttentionShape& attention = source.base.attention;
  check_order_of_columns(source.base, source.where());
  const std::int64_t width = attention.kv_heads * attention.head_dim, positions = source.positions(),
                     stored = source.need("num_layers"), times = source.submodules();
  if (source.encoder_decoder() && times == 1)
    fail_config(
        "{}: num_transformer_submodules is 1: transformers then mixes the prefix and the decoder's own keys "
        "into "
        "the attention to the encoder, which is no prefix tuning; train it with 2, PEFT's default",
        source.fields.where());
  if (const std::int64_t heads = source.need("num_attention_heads"), all = source.need("token_dim");
      heads != attention.kv_heads || all != width)
    fail_config("{}: its keys are {} heads of {} columns, but this model's are {} of {}", source.where(),
                heads, heads > 0 ? all / heads : 0, attention.kv_heads, attention.head_dim);
  if (stored < attention.decoder_layers)
    fail_config("{}: is for {} layers, but this model's decoder has {}", source.where(), stored,
                attention.decoder_layers);
  check_array(source.where(), source.prompt(), {positions, 2 * stored * width});
  TrainedAdapter out{"prefix_tuning", {}};
  std::set<std::int64_t> used;
  for (std::int64_t layer = 0; layer < attention.decoder_layers; ++layer) {
    const std::int64_t entry = 2 * times * layer % (2 * stored);
    used.insert(entry);
    std::vector<float> keys = entry_of(source.prompt(), entry, width);
    turn_keys(keys, positions, attention, /*back=*/true);
    const std::string name = prefix_attention(source.base, layer);
    out.tensors.push_back({name + ".prefix_k", {positions, width}, std::move(keys)});
    out.tensors.push_back(
        {name + ".prefix_v", {positions, width}, entry_of(source.prompt(), entry + 1, width)});
  }
  if (source.encoder_decoder())
    source.notes.emplace_back("PEFT's prefix reaches only the decoder's self-attention");
  if (static_cast<std::int64_t>(used.size()) < attention.decoder_layers)
    source.notes.push_back(fmt::format("its {} decoder layers share {} prefixes, as in PEFT",
                                       attention.decoder_layers, used.size()));
  return out;
}

// "base_model.model.<module><suffix>" of a tensor's name.
std::optional<std::string> peft_module(const NamedArray& array, std::string_view suffix) {
  const auto module = module_of(array.name, suffix);
  if (!module || !module->starts_with(kModule)) return std::nullopt;
  return module->substr(kModule.size());
}

double lora_alpha(const Source& source, std::int64_t rank) {
  double alpha = 0.0;
  source.fields.need("lora_alpha", alpha);
  bool by_root = false;
  source.fields.may("use_rslora", by_root);
  return by_root ? alpha * std::sqrt(static_cast<double>(rank)) : alpha;
}

// Other ways to begin take a part of the base's weights into the adapter, when it is loaded as well: beside
// the weights as their file has them it computes something else.
void check_base_is_kept(const Source& source) {
  const Json* init = source.fields.find("init_lora_weights");
  if (init == nullptr || init->is_boolean() || init->is_null()) return;
  static const std::set<std::string> kKept = {"gaussian", "Gaussian", "eva", "orthogonal", "mica"};
  if (init->is_string() && kKept.contains(init->get<std::string>())) return;
  fail_config(
      "{}: 'init_lora_weights' is {}: such an adapter belongs to base weights that PEFT changes when it "
      "loads "
      "it; convert it first, in PEFT with save_pretrained(..., "
      "path_initial_model_for_weight_conversion=...)",
      source.fields.where(), init->dump());
}

TrainedAdapter lora_from(Source& source) {
  source.refuse({"use_dora", "use_qalora", "use_bdlora", "lora_bias", "bias", "fan_in_fan_out",
                 "modules_to_save", "layer_replication", "target_parameters", "trainable_token_indices",
                 "alora_invocation_tokens", "arrow_config", "rank_pattern", "alpha_pattern"});
  check_base_is_kept(source);
  const std::int64_t rank = source.need("r");
  if (rank < 1) fail_config("{}: r is {}", source.fields.where(), rank);
  const std::vector<LinearShape> linears = linears_of(source.base);
  TrainedAdapter out{"lora", {}, lora_alpha(source, rank)};
  source.fields.may("lora_dropout", out.lora_dropout);
  std::set<std::string> with_a, with_b;
  for (const NamedArray& array : source.adapter.tensors) {
    const auto a = peft_module(array, ".lora_A.weight"), b = peft_module(array, ".lora_B.weight");
    if (!a && !b) fail_config("{}: '{}' is no part of LoRA that is read", source.where(), array.name);
    const LinearShape& linear = find_linear(linears, a ? *a : *b, source.where());
    check_order_of_columns(source.base, source.where(), linear.module);
    check_array(source.where(), array, a ? Shape{rank, linear.in} : Shape{linear.out, rank});
    (a ? with_a : with_b).insert(linear.module);
    out.tensors.push_back({linear.module + (a ? ".lora_A" : ".lora_B"), array.shape, array.values});
  }
  if (with_a.empty() || with_a != with_b)
    fail_config("{}: each module needs both lora_A and lora_B", source.where());
  out.targets = short_targets(with_a, linears);
  return out;
}

// [1, n] scales inputs and [n, 1] outputs, whatever the config says.
TrainedAdapter ia3_from(Source& source) {
  source.refuse({"fan_in_fan_out", "modules_to_save"});
  const std::vector<LinearShape> linears = linears_of(source.base);
  TrainedAdapter out{"ia3", {}};
  std::set<std::string> outputs, inputs;
  for (const NamedArray& array : source.adapter.tensors) {
    const auto module = peft_module(array, ".ia3_l");
    if (!module) fail_config("{}: '{}' is no part of IA3", source.where(), array.name);
    const LinearShape& linear = find_linear(linears, *module, source.where());
    check_order_of_columns(source.base, source.where(), linear.module);
    const bool input = array.shape.size() == 2 && array.shape[0] == 1;
    check_array(source.where(), array, input ? Shape{1, linear.in} : Shape{linear.out, 1});
    (input ? inputs : outputs).insert(*module);
    out.tensors.push_back({*module + ".ia3", {input ? linear.in : linear.out}, array.values});
  }
  if (inputs.empty() && outputs.empty()) fail_config("{}: holds no tensor", source.where());
  out.targets = short_targets(outputs, linears);
  out.feed_forward = short_targets(inputs, linears);
  return out;
}

}  // namespace

TranslatedAdapter from_peft(const PeftAdapter& adapter, const PeftBase& base) {
  static const std::map<std::string, TrainedAdapter (*)(Source&)> kMethods = {
      {"PROMPT_TUNING", prompt_from},
      {"P_TUNING", prompt_from},
      {"PREFIX_TUNING", prefix_from},
      {"LORA", lora_from},
      {"IA3", ia3_from},
  };
  Source source(adapter, base);
  std::string type;
  source.fields.need("peft_type", type);
  const auto method = kMethods.find(type);
  if (method == kMethods.end()) {
    std::vector<std::string> known;
    for (const auto& [name, unused] : kMethods) known.push_back(name);
    fail_config("{}: peft_type is {}; adapters of these types are read: {}", source.fields.where(), type,
                fmt::join(known, ", "));
  }
  check_task(source);
  TrainedAdapter trained = method->second(source);
  std::ranges::sort(trained.tensors, {}, &NamedArray::name);
  return {std::move(trained), std::move(source.notes)};
}

}  // namespace trimtab
