// SPDX-License-Identifier: Apache-2.0
//
// The methods that PEFT has as well, translated: the tensors of a checkpoint of ours to those of an adapter
// and back. What PEFT computes and we do not (or the other way round) is refused; docs/interchange.md has the
// table.
//
// Names of ours: `prompt`; `<module>.lora_A` [rank, in] and `.lora_B` [out, rank]; `<module>.ia3` [n], for
// its outputs or its inputs; `<attention>.prefix_k` and `.prefix_v` [positions, key width], keys as they are
// before positions turn them. Modules and attentions are called as by transformers.
#pragma once

#include <string>
#include <vector>

#include "models/family.h"
#include "models/formats/peft_adapter.h"
#include "models/formats/weight_files.h"

namespace trimtab {

// What was trained, as a checkpoint has it.
struct TrainedAdapter {
  std::string method;       // prompt_tuning, p_tuning, prefix_tuning, lora or ia3
  NamedArrays tensors;      // sorted by name
  double lora_alpha = 0.0;  // the product of both factors counts alpha / rank times
  double lora_dropout = 0.0;
  // Of LoRA and IA3: modules by their names or the last parts of them, as the methods choose them. `targets`
  // is only set by from_peft().
  std::vector<std::string> targets{};
  std::vector<std::string> feed_forward{};  // of IA3: those whose inputs are scaled
};

// What an adapter's names and shapes are compared with.
struct PeftBase {
  AttentionShape attention;
  WeightShapes weights;
};
PeftBase peft_base(const BaseModel& model);

// Config and tensors but for `base_model_name_or_path`, which is left empty. Throws ConfigError for what PEFT
// does not compute.
PeftAdapter to_peft(const TrainedAdapter& trained, const PeftBase& base);

struct TranslatedAdapter {
  TrainedAdapter trained;
  std::vector<std::string> notes;  // for people: what is not as they may think
};
// Throws ConfigError that names the adapter and what of it does not fit the base or is not computed here.
TranslatedAdapter from_peft(const PeftAdapter& adapter, const PeftBase& base);

}  // namespace trimtab
