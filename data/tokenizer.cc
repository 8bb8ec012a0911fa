// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <charconv>
#include <optional>

#include "data/text_file.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

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

TokenId require_piece(const std::string& path, const char* what, int id) {
  if (id < 0) fail_config("{}: the vocabulary has no {} piece; T5 needs pad, eos and unk", path, what);
  return id;
}

}  // namespace

Tokenizer::Tokenizer(const std::string& path, int extra_ids)
    : path_(path), model_(std::make_unique<sentencepiece::SentencePieceProcessor>()), extra_ids_(extra_ids) {
  if (extra_ids < 0) fail_config("{}: extra_ids should be 0 or more, but is {}", path, extra_ids);
  const std::string bytes = read_bytes(path);
  if (bytes.empty()) fail("{}: the vocabulary file is empty", path);
  hash_ = sha256_hex(bytes);
  const auto status = model_->LoadFromSerializedProto(bytes);
  if (!status.ok() || model_->GetPieceSize() == 0)
    fail("{}: no SentencePiece model, or a damaged one ({} bytes, sha256 {}): {}", path, bytes.size(), hash_,
         status.ToString());
  pieces_ = model_->GetPieceSize();
  eos_ = require_piece(path, "eos", model_->eos_id());
  pad_ = require_piece(path, "pad", model_->pad_id());
  unk_ = require_piece(path, "unk", model_->unk_id());
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

void Tokenizer::append_plain(std::string_view text, std::vector<TokenId>& ids) const {
  std::vector<int> plain;
  const auto status = model_->Encode(text, &plain);
  if (!status.ok()) fail("{}: cannot encode {} bytes of text: {}", path_, text.size(), status.ToString());
  ids.insert(ids.end(), plain.begin(), plain.end());
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  while (const auto found = find_sentinel(text, extra_ids_)) {
    append_plain(text.substr(0, found->begin), ids);
    ids.push_back(sentinel(found->number));
    text.remove_prefix(found->end);
  }
  append_plain(text, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  std::vector<int> plain;
  const auto append = [&](const std::string& part) {
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  };
  const auto flush = [&] {
    std::string part;
    const auto status = model_->Decode(plain, &part);
    if (!status.ok()) fail("{}: cannot decode {} ids: {}", path_, plain.size(), status.ToString());
    append(part);
    plain.clear();
  };
  for (const TokenId id : ids) {
    if (id < 0) fail("{}: cannot decode the negative id {}", path_, id);
    if (id == pad_ || id == eos_) continue;
    if (id < pieces_) {
      plain.push_back(id);
    } else if (id >= size()) {
      plain.push_back(unk_);
    } else {
      flush();
      append(piece(id));
    }
  }
  flush();
  return text;
}

std::string Tokenizer::piece(TokenId id) const {
  if (id < 0 || id >= size()) fail("{}: id {} is outside the vocabulary of {}", path_, id, size());
  if (id >= pieces_) return fmt::format("{}{}>", kSentinelFront, size() - 1 - id);
  return model_->IdToPiece(id);
}

TokenId Tokenizer::sentinel(int k) const {
  if (k < 0 || k >= extra_ids_)
    fail("{}: there is no <extra_id_{}>: the vocabulary has {}", path_, k, extra_ids_);
  return size() - 1 - k;
}

void Tokenizer::check_fits(std::int64_t embedding_rows) const {
  if (embedding_rows < size())
    fail_config(
        "{}: the vocabulary has {} ids ({} pieces and {} sentinels), but the embedding of the model has only "
        "{} "
        "rows; use the vocabulary that the model was trained with",
        path_, size(), pieces_, extra_ids_, embedding_rows);
}

}  // namespace trimtab
