// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/sentencepiece_tokenizer.h"

#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

std::vector<AddedToken> control_pieces(const SentencePieceModel& model) {
  std::vector<AddedToken> tokens;
  for (TokenId id = 0; id < model.pieces(); ++id)
    if (model.is_control(id)) tokens.push_back({.text = model.piece(id), .id = id});
  return tokens;
}

}  // namespace

Tokenizer::Known SentencePieceTokenizer::known(const SentencePieceModel& model) {
  if (!model.eos()) fail_config("{}: the vocabulary has no eos piece", model.path());
  Known known;
  known.path = model.path();
  known.hash = model.hash();
  known.size = known.pieces = model.pieces();
  known.eos = *model.eos();
  known.bos = model.bos();
  known.pad = model.pad();
  known.unk = model.unk();
  known.adds_bos = known.bos.has_value();
  return known;
}

SentencePieceTokenizer::SentencePieceTokenizer(SentencePieceModel model)
    : Tokenizer(known(model)),
      model_(std::move(model)),
      without_prefix_(model_.without_prefix()),
      control_(control_pieces(model_), model_.path()) {
  std::vector<TokenId> bare, blank;
  without_prefix_.append_ids("a", bare);
  without_prefix_.append_ids(" a", blank);
  trims_ = bare == blank;
}

// Where blanks in front are taken away, the one that the model puts there stands for them.
const SentencePieceModel& SentencePieceTokenizer::going_on(std::string_view text) const {
  return trims_ && leading_space(text) > 0 ? model_ : without_prefix_;
}

void SentencePieceTokenizer::append_ids(std::string_view text, SpecialText special, Behind behind,
                                        std::vector<TokenId>& ids) const {
  // The library puts U+FFFD for each byte that is none.
  std::string made;
  text = valid_text(text, special, made);
  std::size_t done = 0;
  const auto append = [&](std::string_view part) {
    (done == 0 && behind == Behind::kText ? going_on(part) : model_).append_ids(part, ids);
  };
  while (const auto token = control_.next(text, done, special)) {
    append(text.substr(done, token->begin - done));
    ids.push_back(token->id);
    done = token->end;
  }
  append(text.substr(done));
}

std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids) const {
  std::vector<int> plain;
  for (const TokenId id : ids) {
    if (id < 0) fail("{}: cannot decode the negative id {}", path(), id);
    if (id < size() && !model_.is_control(id)) plain.push_back(id);
  }
  return model_.decode(plain);
}

}  // namespace trimtab
