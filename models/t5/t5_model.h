// SPDX-License-Identifier: Apache-2.0
//
// T5 as an entry of the families.
#pragma once

#include <memory>

#include "models/family.h"
#include "models/t5/t5_files.h"

namespace trimtab {

ModelFamily t5_family();

std::unique_ptr<BaseModel> make_t5_model(T5Files files);

}  // namespace trimtab
