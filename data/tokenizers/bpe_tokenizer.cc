// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/bpe_tokenizer.h"

#include <algorithm>

#include "data/tokenizers/bpe_rules.h"
#include "data/tokenizers/byte_alphabet.h"
#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

// Added tokens of one kind: those looked for in the text as it came, or those in what the normaliser made of
// it.
AddedTokenFinder finder(const BpeVocabulary& vocabulary, bool after_normalizer) {
  std::vector<AddedToken> tokens;
  for (AddedToken token : vocabulary.added) {
    if (token.normalized != after_normalizer) continue;
    if (after_normalizer) token.text = normalized(vocabulary.normalizer, token.text, vocabulary.path);
    tokens.push_back(std::move(token));
  }
  return {std::move(tokens), vocabulary.path};
}

std::vector<NormalizerStep> without_prefix(std::vector<NormalizerStep> steps) {
  // Their numbers stay, for messages.
  for (NormalizerStep& step : steps)
    if (step.kind == NormalizerStep::Kind::kPrepend) step.text.clear();
  return steps;
}

bool is_piece(const BpeVocabulary& vocabulary, std::size_t id) {
  return !vocabulary.pieces[id].empty() &&
         (vocabulary.types.empty() || vocabulary.types[id] == PieceType::kNormal);
}

}  // namespace

struct BpeTokenizer::Call {
  SpecialText special;
  std::vector<TokenId>& ids;
  std::vector<TokenId> symbols{};
  MergeTable::Workspace workspace{};
};

Tokenizer::Known BpeTokenizer::known(const BpeVocabulary& vocabulary) {
  check_vocabulary(vocabulary);
  Known known;
  known.path = vocabulary.path;
  known.hash = vocabulary_hash(vocabulary);
  known.size = known.pieces = static_cast<TokenId>(vocabulary.pieces.size());
  known.eos = *vocabulary.eos;
  known.bos = vocabulary.bos;
  known.pad = vocabulary.pad;
  known.unk = vocabulary.unk;
  known.adds_bos = vocabulary.adds_bos;
  return known;
}

BpeTokenizer::BpeTokenizer(BpeVocabulary vocabulary)
    : Tokenizer(known(vocabulary)),
      vocabulary_(std::move(vocabulary)),
      going_on_(without_prefix(vocabulary_.normalizer)),
      raw_added_(finder(vocabulary_, false)),
      normalized_added_(finder(vocabulary_, true)),
      pre_tokenizer_(vocabulary_.pre_tokenizer, vocabulary_.path),
      merges_(merge_rules(vocabulary_)),
      byte_ids_(byte_pieces(vocabulary_)),
      printed_(printed_pieces(vocabulary_)) {
  if (!vocabulary_.byte_level) {
    for (std::size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
      const std::string& piece = vocabulary_.pieces[id];
      if (is_piece(vocabulary_, id) && utf8_length(piece.front()) == piece.size())
        characters_[piece] = static_cast<TokenId>(id);
    }
    // Then a text can be cut in front of blanks without changing what is merged. Without a piece for the
    // blank itself a run of unknown characters could go across.
    cuts_at_blanks_ = characters_.contains(kBlank) && !merges_into_blank(vocabulary_);
  }
  find_whole_words();
}

// A word that merges to one piece need not be merged again.
void BpeTokenizer::find_whole_words() {
  std::vector<TokenId> ids;
  Call call{SpecialText::kPlain, ids};
  words_.reserve(vocabulary_.pieces.size());
  for (std::size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
    const std::string& piece = vocabulary_.pieces[id];
    // One that spells no bytes is no word of any text.
    if (!is_piece(vocabulary_, id) || (vocabulary_.byte_level && !spelled_bytes(piece))) continue;
    const std::string& word = vocabulary_.byte_level ? printed_[id] : piece;
    ids.assign(1, static_cast<TokenId>(id));
    if (!vocabulary_.ignore_merges) {
      ids.clear();
      append_merged(word, call);
    }
    if (ids.size() == 1) words_[word] = ids.front();
  }
}

void BpeTokenizer::append_ids(std::string_view text, SpecialText special, Behind behind,
                              std::vector<TokenId>& ids) const {
  std::string made;
  text = valid_text(text, special, made);
  Call call{special, ids};
  std::size_t done = 0;
  const auto append_until = [&](std::size_t end) {
    // Normalised text has other places, so there it is all or nothing.
    call.special = special.is_plain(done, end) ? SpecialText::kPlain : SpecialText::kToken;
    append_normalized(text.substr(done, end - done), done == 0 ? behind : Behind::kToken, call);
  };
  while (const auto token = raw_added_.next(text, done, special)) {
    append_until(token->begin);
    ids.push_back(token->id);
    done = token->end;
  }
  append_until(text.size());
}

void BpeTokenizer::append_normalized(std::string_view text, Behind behind, Call& call) const {
  std::string made;
  const std::vector<NormalizerStep>& steps = behind == Behind::kText ? going_on_ : vocabulary_.normalizer;
  if (!steps.empty()) text = made = normalized(steps, text, path());
  std::size_t done = 0;
  while (const auto token = normalized_added_.next(text, done, call.special)) {
    append_text(text.substr(done, token->begin - done), done == 0 ? behind : Behind::kToken, call);
    call.ids.push_back(token->id);
    done = token->end;
  }
  append_text(text.substr(done), done == 0 ? behind : Behind::kToken, call);
}

void BpeTokenizer::append_text(std::string_view text, Behind behind, Call& call) const {
  pre_tokenizer_.for_each_word(text, behind, [&](std::string_view word) {
    while (cuts_at_blanks_ && !word.empty()) {
      // In front of each blank that follows something else: "▁▁▁" may be a piece.
      const std::size_t cut = std::min(word.find(kBlank, leading_blanks(word)), word.size());
      append_word(word.substr(0, cut), call);
      word.remove_prefix(cut);
    }
    if (!word.empty()) append_word(word, call);
  });
}

void BpeTokenizer::append_word(std::string_view word, Call& call) const {
  if (const auto whole = words_.find(word); whole != words_.end())
    call.ids.push_back(whole->second);
  else
    append_merged(word, call);
}

void BpeTokenizer::append_merged(std::string_view word, Call& call) const {
  call.symbols.clear();
  if (vocabulary_.byte_level)
    add_byte_symbols(word, call);
  else
    add_character_symbols(word, call);
  merges_.merge(call.symbols, call.workspace);
  call.ids.insert(call.ids.end(), call.symbols.begin(), call.symbols.end());
}

void BpeTokenizer::add_byte_symbols(std::string_view word, Call& call) const {
  for (const char byte : word) {
    const TokenId id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id >= 0)
      call.symbols.push_back(id);
    else
      add_unknown(call);
  }
}

void BpeTokenizer::add_character_symbols(std::string_view word, Call& call) const {
  for (std::size_t length = 0; !word.empty(); word.remove_prefix(length)) {
    length = std::min(utf8_length(word.front()), word.size());
    const std::string_view character = word.substr(0, length);
    const auto byte_of = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (const auto piece = characters_.find(character); piece != characters_.end())
      call.symbols.push_back(piece->second);
    else if (vocabulary_.byte_fallback &&
             std::ranges::all_of(character, [&](char c) { return byte_of(c) >= 0; }))
      std::ranges::transform(character, std::back_inserter(call.symbols), byte_of);
    else
      add_unknown(call);
  }
}

void BpeTokenizer::add_unknown(Call& call) const {
  if (!vocabulary_.unknown) return;
  const bool again = !call.symbols.empty() && call.symbols.back() == *vocabulary_.unknown;
  if (!(again && vocabulary_.fuse_unknown)) call.symbols.push_back(*vocabulary_.unknown);
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids) const {
  std::string bytes;
  bool drops = vocabulary_.leading_blank == LeadingBlank::kDroppedWithFirstPiece;
  for (const TokenId id : ids) {
    if (id < 0) fail("{}: cannot decode the negative id {}", path(), id);
    if (id >= size()) continue;
    const auto at = static_cast<std::size_t>(id);
    const bool drops_now = drops && vocabulary_.pieces[at].find(kBlank) != std::string::npos;
    bytes += drops_now ? replaced(vocabulary_.pieces[at], kBlank, "") : printed_[at];
    drops = drops && printed_[at].empty();
  }
  if (vocabulary_.leading_blank == LeadingBlank::kDropped && bytes.starts_with(' ')) bytes.erase(0, 1);
  return find_invalid_utf8(bytes) ? replace_invalid_utf8(bytes) : bytes;
}

bool BpeTokenizer::is_written_token(TokenId id) const {
  const auto at = static_cast<std::size_t>(id);
  return at < vocabulary_.types.size() &&
         (vocabulary_.types[at] == PieceType::kControl || vocabulary_.types[at] == PieceType::kUserDefined);
}

std::string BpeTokenizer::spelling(TokenId id) const {
  return vocabulary_.pieces[static_cast<std::size_t>(id)];
}

}  // namespace trimtab
