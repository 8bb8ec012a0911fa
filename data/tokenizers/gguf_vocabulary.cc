// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/gguf_vocabulary.h"

#include <algorithm>
#include <limits>

#include "data/tokenizers/bpe_rules.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::optional<TokenId> token_id(const GgufVocabulary& gguf, std::optional<std::int64_t> id,
                                const char* what) {
  if (!id) return std::nullopt;
  if (*id < 0 || *id >= static_cast<std::int64_t>(gguf.tokens.size()))
    fail("{}: tokenizer.ggml.{} is {}, but there are {} tokens", gguf.path, what, *id, gguf.tokens.size());
  return static_cast<TokenId>(*id);
}

std::vector<PieceType> piece_types(const GgufVocabulary& gguf) {
  std::vector<PieceType> types;
  types.reserve(gguf.token_type.size());
  for (const std::int32_t type : gguf.token_type) {
    if (type < 0 || type > 6)
      fail("{}: tokenizer.ggml.token_type: token {} has the unknown type {}", gguf.path, types.size(), type);
    types.push_back(type == 0 ? PieceType::kUnused : static_cast<PieceType>(type));
  }
  return types;
}

std::vector<std::pair<std::string, std::string>> split_merges(const GgufVocabulary& gguf) {
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(gguf.merges.size());
  for (const std::string& merge : gguf.merges) {
    const std::size_t blank = merge.find(' ', 1);
    if (blank == std::string::npos || blank + 1 == merge.size())
      fail("{}: tokenizer.ggml.merges: merge {} should be two tokens with a blank between them, but is '{}'",
           gguf.path, merges.size(), merge);
    merges.emplace_back(merge.substr(0, blank), merge.substr(blank + 1));
  }
  return merges;
}

void add_written_tokens(BpeVocabulary& vocabulary) {
  for (std::size_t id = 0; id < vocabulary.types.size(); ++id) {
    const bool special = vocabulary.types[id] == PieceType::kControl;
    if (special || vocabulary.types[id] == PieceType::kUserDefined)
      vocabulary.added.push_back(
          {.text = vocabulary.pieces[id], .id = static_cast<TokenId>(id), .special = special});
  }
}

void make_byte_level(GgufVocabulary& gguf, BpeVocabulary& vocabulary) {
  if (gguf.merges.empty()) fail("{}: tokenizer.ggml.merges is missing or empty", gguf.path);
  if (gguf.pre.empty())
    fail_config(
        "{}: tokenizer.ggml.pre, which says how text is cut, is missing: the file is from an early "
        "converter; "
        "use a newer one, or a folder with tokenizer.json",
        gguf.path);
  vocabulary.merges = split_merges(gguf);
  vocabulary.pre_tokenizer = named_pre_tokenizer(gguf.pre, gguf.path);
  // Where the original has these; the names alone do not say it.
  if (gguf.pre == "qwen2" || gguf.pre == "deepseek-r1-qwen")
    vocabulary.normalizer = {{NormalizerStep::Kind::kNfc}};
  const bool llama3 = gguf.pre == "llama-bpe" || gguf.pre == "llama-v3" || gguf.pre == "llama3";
  vocabulary.ignore_merges = llama3;
  vocabulary.adds_bos = gguf.add_bos_token.value_or(llama3);  // as llama.cpp has it
}

// As SentencePiece reads it: a blank in front of every text, also of one that begins with a blank.
void make_sentencepiece(GgufVocabulary& gguf, BpeVocabulary& vocabulary) {
  using Kind = NormalizerStep::Kind;
  if (gguf.scores.empty()) fail("{}: tokenizer.ggml.scores is missing or empty", gguf.path);
  vocabulary.byte_level = false;
  vocabulary.scores = std::move(gguf.scores);
  vocabulary.byte_fallback = std::ranges::find(vocabulary.types, PieceType::kByte) != vocabulary.types.end();
  vocabulary.fuse_unknown = true;
  const std::string blank(kBlank);
  if (gguf.add_space_prefix.value_or(true)) {
    vocabulary.normalizer.push_back({Kind::kPrepend, blank});
    vocabulary.leading_blank = LeadingBlank::kDropped;
  }
  vocabulary.normalizer.push_back({Kind::kReplace, " ", blank});
  vocabulary.unknown = vocabulary.unk;
  vocabulary.adds_bos = gguf.add_bos_token.value_or(true);
}

}  // namespace

BpeVocabulary bpe_vocabulary(GgufVocabulary gguf) {
  if (gguf.tokens.empty()) fail("{}: tokenizer.ggml.tokens is missing or empty", gguf.path);
  if (gguf.tokens.size() > std::numeric_limits<TokenId>::max())
    fail("{}: {} tokens are more than ids can number", gguf.path, gguf.tokens.size());
  BpeVocabulary vocabulary;
  vocabulary.path = gguf.path;
  vocabulary.types = piece_types(gguf);
  vocabulary.bos = token_id(gguf, gguf.bos_token_id, "bos_token_id");
  vocabulary.eos = token_id(gguf, gguf.eos_token_id, "eos_token_id");
  vocabulary.pad = token_id(gguf, gguf.padding_token_id, "padding_token_id");
  vocabulary.unk = token_id(gguf, gguf.unknown_token_id, "unknown_token_id");
  if (gguf.model == "gpt2")
    make_byte_level(gguf, vocabulary);
  else if (gguf.model == "llama")
    make_sentencepiece(gguf, vocabulary);
  else
    fail_config("{}: tokenizer.ggml.model is '{}', which is not supported, only gpt2 and llama", gguf.path,
                gguf.model);
  vocabulary.pieces = std::move(gguf.tokens);
  if (!vocabulary.types.empty() && vocabulary.types.size() != vocabulary.pieces.size())
    fail("{}: tokenizer.ggml.token_type has {} entries for {} tokens", gguf.path, vocabulary.types.size(),
         vocabulary.pieces.size());
  add_written_tokens(vocabulary);
  return vocabulary;
}

}  // namespace trimtab
