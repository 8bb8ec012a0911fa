// SPDX-License-Identifier: Apache-2.0
#include "models/methods/hard_prompt.h"
#include "models/methods/ia3.h"
#include "models/methods/lora.h"
#include "models/methods/model_tuning.h"
#include "models/methods/p_tuning.h"
#include "models/methods/prefix_tuning.h"
#include "models/methods/prompt_tuning.h"
#include "models/methods/tuning_method.h"

namespace trimtab {

const Registry<MethodFactory>& method_registry() {
  static const Registry<MethodFactory> registry("tuning method", {
                                                                     {"prompt_tuning", make_prompt_tuning},
                                                                     {"prefix_tuning", make_prefix_tuning},
                                                                     {"p_tuning", make_p_tuning},
                                                                     {"lora", make_lora},
                                                                     {"ia3", make_ia3},
                                                                     {"model_tuning", make_model_tuning},
                                                                     {"hard_prompt", make_hard_prompt},
                                                                     {"zero_shot", make_zero_shot},
                                                                 });
  return registry;
}

std::unique_ptr<TuningMethod> make_method(Subtree& options) {
  return method_registry().find(options.name(), options.where())(options);
}

}  // namespace trimtab
