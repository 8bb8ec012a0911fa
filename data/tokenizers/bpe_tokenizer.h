// SPDX-License-Identifier: Apache-2.0
//
// Byte-pair encoding, byte-level (GPT-2, SmolLM2, Llama 3, Qwen2) and over characters with byte fallback
// (Llama 2, Mistral): ids as Hugging Face's `tokenizers` and SentencePiece give them.
//
//   added tokens -> normalise -> cut into words -> each word: a piece, or symbols that are merged
//
// No cache is kept, so that threads share nothing that changes: most words are pieces of their own, which is
// known beforehand, and the others merge in less than a microsecond.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/bpe_vocabulary.h"
#include "data/tokenizers/merge_table.h"

namespace trimtab {

class BpeTokenizer final : public Tokenizer {
 public:
  // Throws ConfigError for a vocabulary without eos or with a pattern that cannot be used, Error for one that
  // contradicts itself (a merge of or into pieces that are not there, ids outside).
  explicit BpeTokenizer(BpeVocabulary vocabulary);

  // Bytes that are no UTF-8 count as U+FFFD (replace_invalid_utf8), on encoding and on decoding; what the
  // vocabulary cannot write is left out where it has no unknown piece. But for that, decode(encode(x)) is x
  // for byte-level vocabularies without a normaliser. Ids above the vocabulary are left out, as are special
  // tokens.
  std::string decode(std::span<const TokenId> ids) const override;

 private:
  struct Call;  // what one encode() carries along

  static Known known(const BpeVocabulary& vocabulary);
  void append_ids(std::string_view text, SpecialText special, Behind behind,
                  std::vector<TokenId>& ids) const override;
  bool is_written_token(TokenId id) const override;
  std::string spelling(TokenId id) const override;

  void append_normalized(std::string_view text, Behind behind, Call& call) const;
  void append_text(std::string_view text, Behind behind, Call& call) const;
  void append_word(std::string_view word, Call& call) const;
  void append_merged(std::string_view word, Call& call) const;
  void add_byte_symbols(std::string_view word, Call& call) const;
  void add_character_symbols(std::string_view word, Call& call) const;
  void add_unknown(Call& call) const;
  void find_whole_words();

  BpeVocabulary vocabulary_;
  std::vector<NormalizerStep> going_on_;  // the normaliser of a text that goes on another one
  AddedTokenFinder raw_added_;
  AddedTokenFinder normalized_added_;
  PreTokenizer pre_tokenizer_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_{};                       // of each byte, or -1
  std::unordered_map<std::string_view, TokenId> characters_;  // pieces of one character, in vocabulary_
  std::vector<std::string> printed_;                          // bytes that each id decodes to
  std::unordered_map<std::string_view, TokenId> words_;  // that are one piece; in printed_ or vocabulary_
  bool cuts_at_blanks_ = false;                          // no merge goes from a letter to a "▁"
};

}  // namespace trimtab
