// SPDX-License-Identifier: Apache-2.0
//
// What a GGUF file says of itself: its vocabulary, which models/ does not know, and what people want to see.
#pragma once

#include <string>

#include "data/tokenizers/gguf_vocabulary.h"
#include "models/formats/gguf.h"

namespace trimtab {

// Key by key; what the file does not say stays empty. Throws Error for a key of another type.
GgufVocabulary vocabulary_of(const Gguf& file);

// Types of the tensors and what the vocabulary is, some lines of text.
std::string describe(const Gguf& file);

}  // namespace trimtab
