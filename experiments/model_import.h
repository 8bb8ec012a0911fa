// SPDX-License-Identifier: Apache-2.0
//
// A model of others as one .h5 of ours.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/dtype.h"

namespace trimtab {

struct ImportedModel {
  std::int64_t parameters = 0;
  bool has_vocabulary = false;
  std::string vocabulary_fault;  // why the one inside cannot be used; "" where it can
};

// Throws Error, before anything is written, for weights that are not finite, and what opening and saving the
// model throws.
ImportedModel import_model(const std::string& source, const std::string& out, DType type);

}  // namespace trimtab
