// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/bpe_rules.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "data/tokenizers/byte_alphabet.h"
#include "runtime/check.h"
#include "runtime/sha256.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using PieceIds = std::unordered_map<std::string_view, TokenId>;

PieceType type_of(const BpeVocabulary& vocabulary, std::size_t id) {
  return vocabulary.types.empty() ? PieceType::kNormal : vocabulary.types[id];
}

PieceIds piece_ids(const BpeVocabulary& vocabulary, bool only_normal) {
  PieceIds ids;
  ids.reserve(vocabulary.pieces.size());
  for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const std::string& piece = vocabulary.pieces[id];
    if (!piece.empty() && !(only_normal && type_of(vocabulary, id) != PieceType::kNormal))
      ids[piece] = static_cast<TokenId>(id);
  }
  return ids;
}

std::vector<MergeRule> rules_of_merges(const BpeVocabulary& vocabulary) {
  const PieceIds ids = piece_ids(vocabulary, false);
  std::vector<MergeRule> rules;
  rules.reserve(vocabulary.merges.size());
  for (const auto& merge : vocabulary.merges) {
    const auto id_of = [&](const std::string& piece) {
      const auto found = ids.find(piece);
      if (found == ids.end())
        fail("{}: merge {} of '{}' and '{}': the vocabulary has no piece '{}'", vocabulary.path, rules.size(),
             merge.first, merge.second, piece);
      return found->second;
    };
    const auto rank = static_cast<std::uint32_t>(rules.size());
    rules.push_back({id_of(merge.first), id_of(merge.second), id_of(merge.first + merge.second), rank});
  }
  return rules;
}

// Number of different scores above each piece's.
std::vector<std::uint32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<float> different = scores;
  std::ranges::sort(different, std::greater<>());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  std::vector<std::uint32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores)
    ranks.push_back(static_cast<std::uint32_t>(std::ranges::lower_bound(different, score, std::greater<>()) -
                                               different.begin()));
  return ranks;
}

std::vector<MergeRule> rules_of_scores(const BpeVocabulary& vocabulary) {
  const PieceIds ids = piece_ids(vocabulary, true);
  const std::vector<std::uint32_t> ranks = ranks_of(vocabulary.scores);
  std::vector<MergeRule> rules;
  for (const auto& [piece, merged] : ids) {
    for (std::size_t cut = utf8_length(piece.front()); cut < piece.size(); cut += utf8_length(piece[cut])) {
      const auto left = ids.find(piece.substr(0, cut)), right = ids.find(piece.substr(cut));
      if (left != ids.end() && right != ids.end())
        rules.push_back({left->second, right->second, merged, ranks[static_cast<std::size_t>(merged)]});
    }
  }
  return rules;
}

void check_id(const BpeVocabulary& vocabulary, std::optional<TokenId> id, std::string_view what) {
  if (id && (*id < 0 || static_cast<std::size_t>(*id) >= vocabulary.pieces.size()))
    fail("{}: {} is id {}, but the vocabulary has {} ids", vocabulary.path, what, *id,
         vocabulary.pieces.size());
}

// Texts of any bytes, each with its length, so that no two lists run into the same bytes.
class Digest {
 public:
  Digest& text(std::string_view text) {
    number(static_cast<std::int64_t>(text.size()));
    hash_.update(text);
    return *this;
  }
  Digest& number(std::int64_t number) {
    hash_.update(&number, sizeof(number));
    return *this;
  }
  std::string hex() const { return hash_.hex(); }

 private:
  Sha256 hash_;
};

void digest(Digest& hash, const SplitStep& step) {
  hash.text("split").text(step.pattern).number(step.keep_matches).number(step.keep_rest);
}
void digest(Digest& hash, const LeadingBlankStep&) { hash.text("blank"); }
void digest(Digest& hash, const MetaspaceStep& step) {
  hash.text("metaspace").text(step.blank).number(static_cast<int>(step.prepend)).number(step.split);
}

}  // namespace

void check_vocabulary(const BpeVocabulary& vocabulary) {
  const std::size_t size = vocabulary.pieces.size();
  if (size == 0) fail("{}: the vocabulary is empty", vocabulary.path);
  if (!vocabulary.eos)
    fail_config("{}: it is not said which token ends a text (eos_token, tokenizer.ggml.eos_token_id)",
                vocabulary.path);
  if (!vocabulary.types.empty() && vocabulary.types.size() != size)
    fail("{}: {} types for {} pieces", vocabulary.path, vocabulary.types.size(), size);
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != size)
    fail("{}: {} scores for {} pieces", vocabulary.path, vocabulary.scores.size(), size);
  if (!vocabulary.scores.empty() && !vocabulary.merges.empty())
    fail("{}: the vocabulary has merges and scores; which of them is meant?", vocabulary.path);
  if (std::ranges::any_of(vocabulary.scores, [](float score) { return std::isnan(score); }))
    fail("{}: a score is not a number", vocabulary.path);
  check_id(vocabulary, vocabulary.eos, "eos");
  check_id(vocabulary, vocabulary.bos, "bos");
  check_id(vocabulary, vocabulary.pad, "pad");
  check_id(vocabulary, vocabulary.unk, "unk");
  check_id(vocabulary, vocabulary.unknown, "the unknown token");
  for (const AddedToken& token : vocabulary.added) check_id(vocabulary, token.id, "'" + token.text + "'");
  if (vocabulary.adds_bos && !vocabulary.bos)
    fail("{}: texts should begin with bos, but it is not said which token that is", vocabulary.path);
}

std::string vocabulary_hash(const BpeVocabulary& vocabulary) {
  Digest hash;
  hash.text("bpe 1");
  for (const std::string& piece : vocabulary.pieces) hash.text(piece);
  for (const PieceType type : vocabulary.types) hash.number(static_cast<int>(type));
  for (const auto& [left, right] : vocabulary.merges) hash.text(left).text(right);
  for (const float score : vocabulary.scores)
    hash.text({reinterpret_cast<const char*>(&score), sizeof(score)});
  for (const AddedToken& token : vocabulary.added)
    hash.text(token.text)
        .number(token.id)
        .number(token.special)
        .number(token.strip_left)
        .number(token.strip_right)
        .number(token.normalized);
  for (const NormalizerStep& step : vocabulary.normalizer)
    hash.number(static_cast<int>(step.kind)).text(step.text).text(step.by);
  for (const PreTokenizerStep& step : vocabulary.pre_tokenizer)
    std::visit([&](const auto& which) { digest(hash, which); }, step);
  for (const bool flag :
       {vocabulary.byte_level, vocabulary.byte_fallback, vocabulary.fuse_unknown, vocabulary.ignore_merges,
        vocabulary.leading_blank != LeadingBlank::kKept, vocabulary.adds_bos})
    hash.number(flag);
  for (const auto id : {vocabulary.eos, vocabulary.bos, vocabulary.pad, vocabulary.unk, vocabulary.unknown})
    hash.number(id.value_or(-1));
  return hash.hex();
}

std::vector<MergeRule> merge_rules(const BpeVocabulary& vocabulary) {
  return vocabulary.scores.empty() ? rules_of_merges(vocabulary) : rules_of_scores(vocabulary);
}

std::size_t leading_blanks(std::string_view text) {
  std::size_t bytes = 0;
  while (text.substr(bytes).starts_with(kBlank)) bytes += kBlank.size();
  return bytes;
}

bool merges_into_blank(const BpeVocabulary& vocabulary) {
  // Every merge makes a piece, so it is enough to look for a blank behind something else in the pieces.
  return std::ranges::any_of(vocabulary.pieces, [](const std::string& piece) {
    return piece.find(kBlank, leading_blanks(piece)) != std::string::npos;
  });
}

std::array<TokenId, 256> byte_pieces(const BpeVocabulary& vocabulary) {
  const PieceIds ids = piece_ids(vocabulary, false);
  std::array<TokenId, 256> bytes{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found =
        ids.find(vocabulary.byte_level ? byte_spellings()[byte] : fmt::format("<0x{:02X}>", byte));
    bytes[byte] = found == ids.end() ? -1 : found->second;
  }
  return bytes;
}

std::vector<std::string> printed_pieces(const BpeVocabulary& vocabulary) {
  std::vector<std::string> printed;
  printed.reserve(vocabulary.pieces.size());
  for (const std::string& piece : vocabulary.pieces)
    printed.push_back(vocabulary.byte_level ? spelled_bytes(piece).value_or(piece)
                                            : replaced(piece, kBlank, " "));
  if (!vocabulary.byte_level && vocabulary.byte_fallback) {
    const std::array<TokenId, 256> bytes = byte_pieces(vocabulary);
    for (std::size_t byte = 0; byte < 256; ++byte)
      if (bytes[byte] >= 0) printed[static_cast<std::size_t>(bytes[byte])] = static_cast<char>(byte);
  }
  for (const AddedToken& token : vocabulary.added)
    printed[static_cast<std::size_t>(token.id)] = token.special ? "" : token.text;
  return printed;
}

}  // namespace trimtab
