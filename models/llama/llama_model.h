// SPDX-License-Identifier: Apache-2.0
//
// Llama and its relatives as an entry of the families.
#pragma once

#include <memory>

#include "models/family.h"
#include "models/llama/llama_files.h"

namespace trimtab {

ModelFamily llama_family();

std::unique_ptr<BaseModel> make_llama_model(LlamaFiles files);

}  // namespace trimtab
