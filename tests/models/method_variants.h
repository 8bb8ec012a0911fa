// SPDX-License-Identifier: Apache-2.0
//
// Every tuning method with the options that take other code, for the suites that go through all of them.
// MethodVariants.CoverTheRegistry fails for a method without a line here.
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "models/golden_case.h"
#include "models/model.h"

namespace trimtab::test {

struct Variant {
  std::string name;
  std::string options;          // YAML
  bool begins_as_base = false;  // the model is unchanged before the first step
  bool decoder_only = true;     // runs on models without an encoder
  double disturbance = 0.2;     // standard deviation of what is added to the initial values
  std::vector<PromptPlace> places = {{}};

  // In the names of tests.
  friend void PrintTo(const Variant& it, std::ostream* out) { *out << it.name; }
};

inline const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"zero_shot", "name: zero_shot", true},
      {"hard_prompt", "name: hard_prompt", true},
      {"prompt_tuning", "{name: prompt_tuning, length: 7, init: uniform}"},
      {"prompt_after_begin",
       "{name: prompt_tuning, length: 7, init: uniform}",
       false,
       true,
       0.2,
       {{-1, false, 1}}},
      {"prompt_behind", "{name: prompt_tuning, length: 7, init: uniform}", false, true, 0.2, {{-1, true, 1}}},
      {"prompt_around",
       "{name: prompt_tuning, length: 5, init: uniform}",
       false,
       true,
       0.2,
       {{2, false, 0}, {-1, true, 1}}},
      {"decoder_prompt", "{name: prompt_tuning, length: 4, decoder_length: 3, init: uniform}", false, false},
      {"model_tuning", "name: model_tuning", true, true, 0.02},
      {"p_tuning_mlp", "{name: p_tuning, length: 5, hidden: 6, init_std: 1}"},
      {"p_tuning_lstm", "{name: p_tuning, length: 5, hidden: 6, encoder: lstm, init_std: 1}"},
      {"prefix_direct", "{name: prefix_tuning, length: 3, init_std: 1}"},
      {"prefix_mlp", "{name: prefix_tuning, length: 3, reparameterisation: mlp, hidden: 6, init_std: 1}"},
      {"prefix_cross", "{name: prefix_tuning, length: 4, encoder: false, decoder: false, init_std: 1}", false,
       false},
      {"lora", "{name: lora, rank: 3, alpha: 3, dropout: 0.2}", true},
      {"lora_everywhere",
       "{name: lora, rank: 2, alpha: 1, targets: [q, k, v, o, wi, wi_0, wi_1, wo, q_proj, k_proj, v_proj, "
       "o_proj, gate_proj, up_proj, down_proj, lm_head]}",
       true},
      {"ia3", "name: ia3", true},
  };
  return all;
}

// Targets that the model does not have are left out: the variant names those of all families.
inline std::string fitted(const Variant& variant, const ModelStage& stage) {
  const std::size_t begin = variant.options.find("targets: [");
  if (begin == std::string::npos) return variant.options;
  const std::size_t from = begin + 10, end = variant.options.find(']', begin);
  std::string kept;
  for (std::size_t at = from; at < end;) {
    const std::size_t comma = std::min(variant.options.find(", ", at), end);
    const std::string target = variant.options.substr(at, comma - at);
    for (const std::string& module : stage.linear_modules())
      if (module == target || module.ends_with("." + target)) {
        kept += (kept.empty() ? "" : ", ") + target;
        break;
      }
    at = comma + 2;
  }
  return variant.options.substr(0, from) + kept + variant.options.substr(end);
}

inline bool runs_on(const Variant& variant, const GoldenCase& golden) {
  return variant.decoder_only || golden.model().text_form() == TextForm::kEncoderDecoder;
}

}  // namespace trimtab::test
