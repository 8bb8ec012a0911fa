// SPDX-License-Identifier: Apache-2.0
//
// How byte-level vocabularies spell bytes: each of the 256 is one printable character, so that "Ġ" is a
// blank. Source: GPT-2's bytes_to_unicode, which Hugging Face's ByteLevel and GGUF's "gpt2" follow.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace trimtab {

// The character, in UTF-8, of each byte.
const std::array<std::string, 256>& byte_spellings();

// The bytes that a piece spells; nothing if it holds a character that stands for no byte.
std::optional<std::string> spelled_bytes(std::string_view piece);

}  // namespace trimtab
