// SPDX-License-Identifier: Apache-2.0
//
// All that a BPE tokenizer is made of, as plain data. tokenizer_json.h fills it from a tokenizer.json, and
// gguf_vocabulary.h from the metadata of a GGUF file.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/pre_tokenizer.h"
#include "data/tokenizers/text_normalizer.h"

namespace trimtab {

// The numbers are those of SentencePiece and GGUF.
enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// The blank in front of a text that encode() put there, in a decoded text: kept, gone, or gone with all other
// blanks of the first piece, as the Metaspace decoder of `tokenizers` has it ("▁▁a▁b" becomes "ab").
enum class LeadingBlank { kKept, kDropped, kDroppedWithFirstPiece };

struct BpeVocabulary {
  std::string path{};                 // for messages
  std::vector<std::string> pieces{};  // by id, as the file spells them; "" where an id has none
  std::vector<PieceType> types{};     // of each piece; empty: all normal
  // What merges: pairs, best first, or the score of each piece, the highest first (SentencePiece). One is
  // empty.
  std::vector<std::pair<std::string, std::string>> merges{};
  std::vector<float> scores{};
  std::vector<AddedToken> added{};
  std::vector<NormalizerStep> normalizer{};
  std::vector<PreTokenizerStep> pre_tokenizer{};

  bool byte_level = true;      // pieces spell bytes (byte_alphabet.h), not characters
  bool byte_fallback = false;  // characters without a piece become pieces "<0x0A>"
  bool fuse_unknown = false;   // neighbouring characters without a piece become one unk
  bool ignore_merges = false;  // a word that is a piece is that piece, whatever merges say
  LeadingBlank leading_blank = LeadingBlank::kKept;

  std::optional<TokenId> eos{};  // has to be there
  std::optional<TokenId> bos{};
  std::optional<TokenId> pad{};
  std::optional<TokenId> unk{};      // as the model's configuration names it
  std::optional<TokenId> unknown{};  // what a character without a piece becomes; none: it is left out
  bool adds_bos = false;
};

}  // namespace trimtab
