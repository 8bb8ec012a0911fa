// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "models/formats/peft_methods.h"
#include "models/formats/peft_parts.h"
#include "models/methods/linear_targets.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {

using namespace peft;

namespace {

nlohmann::ordered_json common_config(const char* type, const PeftBase& base) {
  nlohmann::ordered_json config;
  config["peft_type"] = type;
  config["task_type"] = base.attention.encoder_layers > 0 ? "SEQ_2_SEQ_LM" : "CAUSAL_LM";
  config["base_model_name_or_path"] = "";
  config["revision"] = nullptr;
  config["auto_mapping"] = nullptr;
  config["inference_mode"] = true;
  return config;
}

const NamedArray* find_array(const NamedArrays& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &NamedArray::name);
  return found == tensors.end() ? nullptr : &*found;
}

// P-tuning is a prompt once it is trained, and PEFT keeps nothing else of it either.
PeftAdapter prompt_to_peft(const TrainedAdapter& trained, const PeftBase& base) {
  const NamedArray* prompt = find_array(trained.tensors, "prompt");
  if (prompt == nullptr || prompt->shape.size() != 2)
    fail_config("there is no matrix 'prompt' in what {} trained", trained.method);
  if (find_array(trained.tensors, "decoder_prompt") != nullptr)
    fail_config(
        "what {} trained in front of the decoder's input (method.decoder_length) has no place in an adapter: "
        "PEFT uses rows in front of the encoder's only",
        trained.method);
  check_array(trained.method, *prompt, {prompt->shape[0], base.attention.width});
  PeftAdapter out;
  out.config = common_config("PROMPT_TUNING", base);
  out.config["num_virtual_tokens"] = prompt->shape[0];
  out.config["token_dim"] = base.attention.width;
  // PEFT's default for an encoder-decoder is 2: twice the rows, of which the second half is never used.
  out.config["num_transformer_submodules"] = 1;
  out.config["num_attention_heads"] = base.attention.heads;
  out.config["num_layers"] = std::max(base.attention.encoder_layers, base.attention.decoder_layers);
  out.config["modules_to_save"] = nullptr;
  out.config["prompt_tuning_init"] = "RANDOM";
  out.config["prompt_tuning_init_text"] = nullptr;
  out.config["tokenizer_name_or_path"] = nullptr;
  out.config["tokenizer_kwargs"] = nullptr;
  out.tensors = {{kPrompt, prompt->shape, prompt->values}};
  return out;
}

// PEFT's matrix is [positions, 2 * layers * key width], layer by layer a key and a value. Of an
// encoder-decoder it uses every other pair, once around (peft_import.cc), so the matrix is made for twice the
// layers, with zeros where nothing reads.
PeftAdapter prefix_to_peft(const TrainedAdapter& trained, const PeftBase& base) {
  check_order_of_columns(base, trained.method);
  const AttentionShape& attention = base.attention;
  const std::int64_t width = attention.kv_heads * attention.head_dim;
  const std::int64_t times = attention.encoder_layers > 0 ? 2 : 1, layers = attention.decoder_layers;
  std::set<std::string> wanted;
  std::int64_t positions = -1;
  NamedArray matrix{kPrompt, {}, {}};
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (const char* part : {".prefix_k", ".prefix_v"}) {
      const std::string name = prefix_attention(base, layer) + part;
      const NamedArray* array = find_array(trained.tensors, name);
      if (array == nullptr)
        fail_config("prefix_tuning: '{}' was not trained, and PEFT has a prefix in every layer", name);
      if (positions < 0) {
        positions = array->shape.empty() ? 0 : array->shape[0];
        matrix.shape = {positions, 2 * times * layers * width};
        matrix.values.resize(static_cast<std::size_t>(element_count(matrix.shape)));
      }
      check_array("prefix_tuning", *array, {positions, width});
      std::vector<float> values = array->values;
      const std::int64_t entry = 2 * times * layer + (part[8] == 'v' ? 1 : 0);
      if (part[8] == 'k') turn_keys(values, positions, attention, /*back=*/false);
      for (std::int64_t p = 0; p < positions; ++p)
        std::copy_n(values.begin() + p * width, width,
                    matrix.values.begin() + (p * 2 * times * layers + entry) * width);
      wanted.insert(name);
    }
  for (const NamedArray& array : trained.tensors)
    if ((array.name.ends_with(".prefix_k") || array.name.ends_with(".prefix_v")) &&
        !wanted.contains(array.name))
      fail_config(
          "prefix_tuning: '{}' was trained, but PEFT's prefix reaches only the decoder's self-attention: "
          "only a run with prefixes there and nowhere else can be exported",
          array.name);
  PeftAdapter out;
  out.config = common_config("PREFIX_TUNING", base);
  out.config["num_virtual_tokens"] = positions;
  out.config["token_dim"] = width;
  out.config["num_transformer_submodules"] = times;
  out.config["num_attention_heads"] = attention.kv_heads;
  out.config["num_layers"] = times * layers;
  out.config["modules_to_save"] = nullptr;
  out.config["encoder_hidden_size"] = attention.width;
  out.config["prefix_projection"] = false;
  out.tensors = {std::move(matrix)};
  return out;
}

PeftAdapter lora_to_peft(const TrainedAdapter& trained, const PeftBase& base) {
  const std::vector<LinearShape> linears = linears_of(base);
  std::set<std::string> modules;
  std::int64_t rank = -1;
  PeftAdapter out;
  for (const NamedArray& array : trained.tensors) {
    const auto a = module_of(array.name, ".lora_A"), b = module_of(array.name, ".lora_B");
    if (!a && !b) fail_config("lora: '{}' is no part of what PEFT's LoRA has", array.name);
    const LinearShape& linear = find_linear(linears, a ? *a : *b, "lora");
    check_order_of_columns(base, "lora", linear.module);
    if (array.shape.size() == 2 && rank < 0) rank = a ? array.shape[0] : array.shape[1];
    check_array("lora", array, a ? Shape{rank, linear.in} : Shape{linear.out, rank});
    modules.insert(linear.module);
    out.tensors.push_back({std::string(kModule) + array.name + ".weight", array.shape, array.values});
  }
  if (modules.empty() || out.tensors.size() != 2 * modules.size())
    fail_config("lora: each module needs both lora_A and lora_B");
  out.config = common_config("LORA", base);
  out.config["r"] = rank;
  out.config["lora_alpha"] = trained.lora_alpha;
  if (trained.lora_alpha == std::floor(trained.lora_alpha))
    out.config["lora_alpha"] = static_cast<std::int64_t>(trained.lora_alpha);
  out.config["lora_dropout"] = trained.lora_dropout;
  out.config["target_modules"] = short_targets(modules, linears);
  out.config["bias"] = "none";
  out.config["fan_in_fan_out"] = false;
  out.config["init_lora_weights"] = true;
  out.config["use_rslora"] = false;
  out.config["use_dora"] = false;
  out.config["modules_to_save"] = nullptr;
  return out;
}

PeftAdapter ia3_to_peft(const TrainedAdapter& trained, const PeftBase& base) {
  const std::vector<LinearShape> linears = linears_of(base);
  std::set<std::string> modules, feedforward;
  PeftAdapter out;
  for (const NamedArray& array : trained.tensors) {
    const auto module = module_of(array.name, ".ia3");
    if (!module) fail_config("ia3: '{}' is no part of what PEFT's IA3 has", array.name);
    const LinearShape& linear = find_linear(linears, *module, "ia3");
    check_order_of_columns(base, "ia3", linear.module);
    const bool input = is_target(*module, trained.feed_forward);
    check_array("ia3", array, {input ? linear.in : linear.out});
    modules.insert(*module);
    if (input) feedforward.insert(*module);
    out.tensors.push_back({std::string(kModule) + *module + ".ia3_l",
                           input ? Shape{1, array.shape[0]} : Shape{array.shape[0], 1}, array.values});
  }
  if (modules.empty()) fail_config("ia3: nothing was trained");
  out.config = common_config("IA3", base);
  // One must be a part of the other, so both are written in the same way.
  const std::vector<std::string> targets = short_targets(modules, linears);
  out.config["target_modules"] = targets;
  out.config["feedforward_modules"] = targets.front().find('.') == std::string::npos
                                          ? short_targets(feedforward, linears)
                                          : std::vector<std::string>(feedforward.begin(), feedforward.end());
  out.config["fan_in_fan_out"] = false;
  out.config["init_ia3_weights"] = true;
  out.config["modules_to_save"] = nullptr;
  return out;
}

}  // namespace

PeftBase peft_base(const BaseModel& model) {
  PeftBase out{model.attention_shape(), {}};
  for (const std::string& name : model.weights().names())
    out.weights.push_back({name, model.weights().info(name).shape});
  return out;
}

PeftAdapter to_peft(const TrainedAdapter& trained, const PeftBase& base) {
  if (trained.method == "prompt_tuning" || trained.method == "p_tuning") return prompt_to_peft(trained, base);
  if (trained.method == "prefix_tuning") return prefix_to_peft(trained, base);
  if (trained.method == "lora") return lora_to_peft(trained, base);
  if (trained.method == "ia3") return ia3_to_peft(trained, base);
  fail_config("PEFT has no {}; prompt_tuning, p_tuning, prefix_tuning, lora and ia3 are exported as adapters",
              trained.method);
}

}  // namespace trimtab
