// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer.h"

#include "runtime/check.h"

namespace trimtab {

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialText special, Behind behind) const {
  std::vector<TokenId> ids;
  append_ids(text, special, behind, ids);
  return ids;
}

Behind Tokenizer::behind(std::span<const TokenId> ids) const {
  if (ids.empty()) return Behind::kNothing;
  return is_written_token(ids.back()) ? Behind::kToken : Behind::kText;
}

std::string Tokenizer::piece(TokenId id) const {
  if (id < 0 || id >= size()) fail("{}: id {} is outside the vocabulary of {}", path(), id, size());
  return spelling(id);
}

void Tokenizer::check_fits(std::int64_t embedding_rows) const {
  if (embedding_rows >= size()) return;
  const std::string kinds =
      size() == pieces() ? "" : fmt::format(" ({} pieces and {} sentinels)", pieces(), size() - pieces());
  fail_config(
      "{}: the vocabulary has {} ids{}, but the embedding of the model has only {} rows; use the vocabulary "
      "that the model was trained with",
      path(), size(), kinds, embedding_rows);
}

}  // namespace trimtab
