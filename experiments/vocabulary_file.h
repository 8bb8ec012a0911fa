// SPDX-License-Identifier: Apache-2.0
//
// Where the SentencePiece model of a run comes from.
#pragma once

#include <string>

#include "models/t5/t5_files.h"

namespace trimtab {

// The path of the vocabulary: `named` if it is not empty, else the one beside the weights, else the one
// inside them, which is written to `folder`/spiece.model. Throws ConfigError that says what to set when there
// is none.
std::string vocabulary_file(const std::string& named, const T5Files& files, const std::string& folder);

}  // namespace trimtab
