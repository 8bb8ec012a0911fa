// SPDX-License-Identifier: Apache-2.0
//
// A SentencePiece model as T5 uses it: the ids of the model come first, and the sentinels <extra_id_0>,
// <extra_id_1>, ... lie on top in descending order, so that <extra_id_0> has the highest id.
#pragma once

#include "data/tokenizers/sentencepiece_model.h"

namespace trimtab {

class T5Tokenizer final : public Tokenizer {
 public:
  // Throws Error if the file is missing or no SentencePiece model, ConfigError if the model has no pad, eos
  // or unknown piece (T5 needs all three).
  explicit T5Tokenizer(const std::string& path, int extra_ids = 100);
  explicit T5Tokenizer(SentencePieceModel model, int extra_ids = 100);

  // The literal text "<extra_id_3>" becomes that sentinel with either SpecialText, and the text around it is
  // encoded piece by piece, as the T5 tokenizer of Hugging Face does. On decoding, pad and eos are left out,
  // sentinels are printed between single blanks, and ids above the vocabulary (padding rows of an embedding)
  // print as the unknown piece does.
  std::string decode(std::span<const TokenId> ids) const override;

  int extra_ids() const { return size() - pieces(); }
  // Id of <extra_id_k>. Throws Error outside [0, extra_ids()).
  TokenId sentinel(int k) const;
  bool is_sentinel(TokenId id) const { return id >= pieces() && id < size(); }

 private:
  static Known known(const SentencePieceModel& model, int extra_ids);
  // A T5 reads texts of their own: what stands in front of them changes nothing.
  void append_ids(std::string_view text, SpecialText special, Behind behind,
                  std::vector<TokenId>& ids) const override;
  bool is_written_token(TokenId id) const override { return is_sentinel(id); }
  std::string spelling(TokenId id) const override;

  SentencePieceModel model_;
};

}  // namespace trimtab
