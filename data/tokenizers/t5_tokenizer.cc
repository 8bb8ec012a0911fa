// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/t5_tokenizer.h"

#include <charconv>
#include <optional>

#include "data/text_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kSentinelFront = "<extra_id_";

struct FoundSentinel {
  std::size_t begin;
  std::size_t end;
  int number;
};

// The first literal sentinel below `count` in the text. "<extra_id_007>" and "<extra_id_100>" of 100 are
// plain text.
std::optional<FoundSentinel> find_sentinel(std::string_view text, int count) {
  for (std::size_t at = text.find(kSentinelFront); at != std::string_view::npos;
       at = text.find(kSentinelFront, at + 1)) {
    const char* digits = text.data() + at + kSentinelFront.size();
    const char* end = text.data() + text.size();
    int number = 0;
    const auto [stop, error] = std::from_chars(digits, end, number);
    const bool canonical = error == std::errc() && (*digits != '0' || stop == digits + 1) && *digits != '-';
    if (canonical && stop != end && *stop == '>' && number < count)
      return FoundSentinel{at, static_cast<std::size_t>(stop + 1 - text.data()), number};
  }
  return std::nullopt;
}

TokenId require_piece(const std::string& path, const char* what, std::optional<TokenId> id) {
  if (!id) fail_config("{}: the vocabulary has no {} piece; T5 needs pad, eos and unk", path, what);
  return *id;
}

}  // namespace

Tokenizer::Known T5Tokenizer::known(const SentencePieceModel& model, int extra_ids) {
  const std::string& path = model.path();
  if (extra_ids < 0) fail_config("{}: extra_ids should be 0 or more, but is {}", path, extra_ids);
  Known known;
  known.path = path;
  known.hash = model.hash();
  known.pieces = model.pieces();
  known.size = known.pieces + extra_ids;
  known.eos = require_piece(path, "eos", model.eos());
  known.pad = require_piece(path, "pad", model.pad());
  known.unk = require_piece(path, "unk", model.unk());
  return known;
}

T5Tokenizer::T5Tokenizer(const std::string& path, int extra_ids)
    : T5Tokenizer(SentencePieceModel(path, read_bytes(path)), extra_ids) {}

T5Tokenizer::T5Tokenizer(SentencePieceModel model, int extra_ids)
    : Tokenizer(known(model, extra_ids)), model_(std::move(model)) {}

void T5Tokenizer::append_ids(std::string_view text, SpecialText, Behind, std::vector<TokenId>& ids) const {
  while (const auto found = find_sentinel(text, extra_ids())) {
    model_.append_ids(text.substr(0, found->begin), ids);
    ids.push_back(sentinel(found->number));
    text.remove_prefix(found->end);
  }
  model_.append_ids(text, ids);
}

std::string T5Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  std::vector<int> plain;
  const auto append = [&](const std::string& part) {
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  };
  const auto flush = [&] {
    append(model_.decode(plain));
    plain.clear();
  };
  for (const TokenId id : ids) {
    if (id < 0) fail("{}: cannot decode the negative id {}", path(), id);
    if (id == pad() || id == eos()) continue;
    if (id < pieces()) {
      plain.push_back(id);
    } else if (id >= size()) {
      plain.push_back(*unk());
    } else {
      flush();
      append(piece(id));
    }
  }
  flush();
  return text;
}

std::string T5Tokenizer::spelling(TokenId id) const {
  return is_sentinel(id) ? fmt::format("{}{}>", kSentinelFront, size() - 1 - id) : model_.piece(id);
}

TokenId T5Tokenizer::sentinel(int k) const {
  if (k < 0 || k >= extra_ids())
    fail("{}: there is no <extra_id_{}>: the vocabulary has {}", path(), k, extra_ids());
  return size() - 1 - k;
}

}  // namespace trimtab
