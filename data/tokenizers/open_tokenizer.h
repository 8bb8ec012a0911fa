// SPDX-License-Identifier: Apache-2.0
//
// The tokenizer that a file holds: a tokenizer.json, or a SentencePiece model of a T5 (spiece.model) or of a
// decoder-only model (tokenizer.model).
#pragma once

#include <memory>
#include <string>

#include "data/tokenizer.h"

namespace trimtab {

// A file *.json is read as a tokenizer.json, any other as a SentencePiece model, which is a T5's if it has
// pad and no bos. Throws Error for a missing or damaged file, or one of another kind; ConfigError for parts
// that are not supported.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path);

}  // namespace trimtab
