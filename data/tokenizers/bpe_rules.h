// SPDX-License-Identifier: Apache-2.0
//
// What BpeTokenizer works out from a vocabulary once: its merges as ids, what its bytes are, how it prints.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizers/bpe_vocabulary.h"
#include "data/tokenizers/merge_table.h"

namespace trimtab {

// Throws ConfigError if there is no eos, Error for lists of different lengths, ids outside the vocabulary, or
// neither merges nor scores.
void check_vocabulary(const BpeVocabulary& vocabulary);

// SHA-256 of all that decides over ids and text, the path left out.
std::string vocabulary_hash(const BpeVocabulary& vocabulary);

// The merges by id. From scores: each way to cut a piece into two others is a rule whose rank is the piece's
// score, since SentencePiece merges the neighbours that make the piece of the highest score. Throws Error for
// a merge of or into a piece that is not there.
std::vector<MergeRule> merge_rules(const BpeVocabulary& vocabulary);

// SentencePiece's mark of a blank, and the bytes of those in front of a text.
inline constexpr std::string_view kBlank = "▁";
std::size_t leading_blanks(std::string_view text);

// Whether a merge goes from a character that is no "▁" to one that is.
bool merges_into_blank(const BpeVocabulary& vocabulary);

// The id of each byte, or -1: "Ġ" of a byte-level vocabulary, "<0x20>" of one with byte fallback.
std::array<TokenId, 256> byte_pieces(const BpeVocabulary& vocabulary);

// The bytes that each id decodes to; none for special tokens.
std::vector<std::string> printed_pieces(const BpeVocabulary& vocabulary);

}  // namespace trimtab
