// SPDX-License-Identifier: Apache-2.0
//
// A SentencePiece model as decoder-only models use it (tokenizer.model of Llama 2 and Mistral): ids and text
// are those of libsentencepiece.
#pragma once

#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/sentencepiece_model.h"

namespace trimtab {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  // Throws ConfigError if the model has no eos piece.
  explicit SentencePieceTokenizer(SentencePieceModel model);

  // Control pieces and ids above the vocabulary are left out.
  std::string decode(std::span<const TokenId> ids) const override;

 private:
  static Known known(const SentencePieceModel& model);
  // With SpecialText::kToken the text between control pieces is encoded by itself, blank in front included.
  void append_ids(std::string_view text, SpecialText special, Behind behind,
                  std::vector<TokenId>& ids) const override;
  bool is_written_token(TokenId id) const override { return id < size() && model_.is_control(id); }
  // Of a text that goes on another one.
  const SentencePieceModel& going_on(std::string_view text) const;
  std::string spelling(TokenId id) const override { return model_.piece(id); }

  SentencePieceModel model_;
  SentencePieceModel without_prefix_;
  bool trims_ = false;  // takes white space around a text away
  AddedTokenFinder control_;
};

}  // namespace trimtab
