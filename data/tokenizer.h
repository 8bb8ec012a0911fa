// SPDX-License-Identifier: Apache-2.0
//
// Text <-> token ids: what all vocabularies have in common. open_tokenizer of tokenizers/open_tokenizer.h
// makes the one that a file holds. Const calls may be made from several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

using TokenId = std::int32_t;

// What the written form of a special token ("<|im_start|>") in a text becomes: that token, or text as any
// other where it touches the bytes [begin, end). Tokens are for templates that we wrote: text from elsewhere
// must not be able to end a turn.
struct SpecialText {
  std::size_t begin = 0;
  std::size_t end = std::string_view::npos;

  static const SpecialText kPlain;  // text, all of it
  static const SpecialText kToken;  // tokens, all of them

  bool is_plain(std::size_t from, std::size_t to) const { return from < end && to > begin; }
};
inline constexpr SpecialText SpecialText::kPlain{};
inline constexpr SpecialText SpecialText::kToken{0, 0};

// What a text stands behind: nothing; a token that is written in a text, behind which the vocabulary may
// begin anew; or text, which it goes on, so that no blank is put in front of it.
enum class Behind { kNothing, kToken, kText };

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Ids of the text alone: no bos, no eos, no padding.
  std::vector<TokenId> encode(std::string_view text, SpecialText special = SpecialText::kPlain,
                              Behind behind = Behind::kNothing) const;
  // What a text stands behind that follows these ids.
  Behind behind(std::span<const TokenId> ids) const;
  // Text of the ids; special tokens are left out. Throws Error for negative ids.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;

  // The token that ends a text or an answer.
  TokenId eos() const { return known_.eos; }
  std::optional<TokenId> bos() const { return known_.bos; }
  std::optional<TokenId> pad() const { return known_.pad; }
  std::optional<TokenId> unk() const { return known_.unk; }
  // Whether the model was trained with bos in front of every text. encode() never puts it there.
  bool adds_bos() const { return known_.adds_bos; }

  // All ids lie in [0, size()).
  TokenId size() const { return known_.size; }
  // Ids in [0, pieces()) are entries of the vocabulary file; those above are sentinels (T5).
  TokenId pieces() const { return known_.pieces; }
  // The piece as it stands in the vocabulary ("▁the", "Ġthe"). Throws Error outside [0, size()).
  std::string piece(TokenId id) const;

  // SHA-256 of the vocabulary, in hexadecimal: kept in checkpoints, so that no other is used with them.
  const std::string& hash() const { return known_.hash; }
  // The file that it was read from, for messages.
  const std::string& path() const { return known_.path; }
  // Throws ConfigError if the embedding has fewer rows than the vocabulary. More rows are usual (padding).
  void check_fits(std::int64_t embedding_rows) const;

 protected:
  struct Known {
    std::string path{};
    std::string hash{};
    TokenId size = 0;
    TokenId pieces = 0;
    TokenId eos = 0;
    std::optional<TokenId> bos{};
    std::optional<TokenId> pad{};
    std::optional<TokenId> unk{};
    bool adds_bos = false;
  };
  explicit Tokenizer(Known known) : known_(std::move(known)) {}

 private:
  virtual void append_ids(std::string_view text, SpecialText special, Behind behind,
                          std::vector<TokenId>& ids) const = 0;
  virtual bool is_written_token(TokenId id) const = 0;  // found in a text before anything is cut or merged
  virtual std::string spelling(TokenId id) const = 0;   // of an id in [0, size())

  Known known_;
};

}  // namespace trimtab
