// SPDX-License-Identifier: Apache-2.0
//
// What holds for every tokenizer and text. A broken promise ends the program.
#pragma once

#include <cstdlib>
#include <string_view>

#include "data/tokenizer.h"
#include "runtime/utf8.h"

namespace trimtab::fuzz {

inline void require(bool promise) {
  if (!promise) std::abort();
}

inline void use_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  for (const SpecialText special : {SpecialText::kPlain, SpecialText::kToken}) {
    const std::vector<TokenId> ids = tokenizer.encode(text, special);
    for (const TokenId id : ids) require(id >= 0 && id < tokenizer.size());
    require(!find_invalid_utf8(tokenizer.decode(ids)));
    require(ids == tokenizer.encode(replace_invalid_utf8(text), special));
    for (const TokenId id : tokenizer.encode(text, special, Behind::kText))
      require(id >= 0 && id < tokenizer.size());
  }
}

}  // namespace trimtab::fuzz
