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
  void append_ids(std::string_view text, SpecialText special, std::vector<TokenId>& ids) const override;
  std::string spelling(TokenId id) const override { return model_.piece(id); }

  SentencePieceModel model_;
  AddedTokenFinder control_;
};

}  // namespace trimtab
