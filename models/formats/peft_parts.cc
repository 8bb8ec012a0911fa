// SPDX-License-Identifier: Apache-2.0
#include "models/formats/peft_parts.h"

#include <algorithm>
#include <cmath>

#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab::peft {

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

std::vector<LinearShape> linears_of(const PeftBase& base) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<LinearShape> out;
  for (const auto& [name, shape] : base.weights) {
    if (shape.size() != 2 || !name.ends_with(kWeight)) continue;
    const std::string module = name.substr(0, name.size() - kWeight.size());
    const std::string_view last = last_part(module);
    if (last == "shared" || last == "embed_tokens" || last == "relative_attention_bias" || last == "lm_head")
      continue;
    out.push_back({module, shape[1], shape[0]});
  }
  return out;
}

const LinearShape& find_linear(const std::vector<LinearShape>& linears, const std::string& module,
                               const std::string& where) {
  const auto found = std::ranges::find(linears, module, &LinearShape::module);
  if (found != linears.end()) return *found;
  std::vector<std::string> names;
  for (const LinearShape& linear : linears) names.push_back(linear.module);
  if (last_part(module) == "lm_head")
    fail_config("{}: what is trained of the output map '{}' is not exchanged with PEFT", where, module);
  fail_config("{}: this model has no linear map '{}'{}", where, module, did_you_mean(module, names));
}

std::vector<std::string> short_targets(const std::set<std::string>& modules,
                                       const std::vector<LinearShape>& linears) {
  std::set<std::string> lasts;
  for (const std::string& module : modules) lasts.emplace(last_part(module));
  for (const LinearShape& linear : linears)
    if (lasts.contains(std::string(last_part(linear.module))) && !modules.contains(linear.module))
      return {modules.begin(), modules.end()};
  return {lasts.begin(), lasts.end()};
}

std::optional<std::string> module_of(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix) || name.size() <= suffix.size()) return std::nullopt;
  return std::string(name.substr(0, name.size() - suffix.size()));
}

void check_array(const std::string& where, const NamedArray& array, const Shape& expected) {
  if (array.shape != expected)
    fail_config("{}: '{}' is {}, but this model wants {}", where, array.name, to_string(array.shape),
                to_string(expected));
}

void check_order_of_columns(const PeftBase& base, const std::string& where, std::string_view module) {
  const std::string_view last = last_part(module);
  if (!base.attention.rotary_interleaved || (!module.empty() && last != "q_proj" && last != "k_proj")) return;
  fail_config(
      "{}: the base model comes from a GGUF file, whose queries and keys have their columns in another order "
      "than PEFT's; use the model's Hugging Face folder",
      where);
}

std::string prefix_attention(const PeftBase& base, std::int64_t layer) {
  return base.attention.encoder_layers > 0 ? fmt::format("decoder.block.{}.layer.0.SelfAttention", layer)
                                           : fmt::format("model.layers.{}.self_attn", layer);
}

void turn_keys(std::vector<float>& keys, std::int64_t positions, const AttentionShape& attention, bool back) {
  const auto half = static_cast<std::int64_t>(attention.rotary_frequencies.size());
  for (std::int64_t p = 0; p < positions && half > 0; ++p)
    for (std::int64_t head = 0; head < attention.kv_heads; ++head) {
      float* x = keys.data() + (p * attention.kv_heads + head) * attention.head_dim;
      for (std::int64_t i = 0; i < half; ++i) {
        // The angle is float32, as in the reference.
        const float angle = static_cast<float>(p) * attention.rotary_frequencies[static_cast<std::size_t>(i)];
        const double cosine = std::cos(static_cast<double>(angle));
        const double sine = std::sin(static_cast<double>(angle)) * (back ? -1 : 1);
        const double a = x[i], b = x[i + half];
        x[i] = static_cast<float>(a * cosine - b * sine);
        x[i + half] = static_cast<float>(b * cosine + a * sine);
      }
    }
}

}  // namespace trimtab::peft
