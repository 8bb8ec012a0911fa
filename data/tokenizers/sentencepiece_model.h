// SPDX-License-Identifier: Apache-2.0
//
// A SentencePiece model file, as libsentencepiece reads it, with our errors.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace trimtab {

class SentencePieceModel {
 public:
  // `path` is for messages, `bytes` are the file's. Throws Error if they are empty or no SentencePiece model.
  SentencePieceModel(std::string path, const std::string& bytes);
  ~SentencePieceModel();
  SentencePieceModel(SentencePieceModel&&) noexcept;
  SentencePieceModel& operator=(SentencePieceModel&&) noexcept;

  // The same, but with no blank in front of the texts that it encodes.
  SentencePieceModel without_prefix() const;

  // Appends the ids of the text; bytes that are no UTF-8 are replaced.
  void append_ids(std::string_view text, std::vector<TokenId>& ids) const;
  std::string decode(const std::vector<int>& ids) const;

  TokenId pieces() const;
  const std::string& piece(TokenId id) const;
  bool is_control(TokenId id) const;
  std::optional<TokenId> eos() const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> pad() const;
  std::optional<TokenId> unk() const;

  const std::string& path() const { return path_; }
  // SHA-256 of the bytes.
  const std::string& hash() const { return hash_; }

 private:
  std::string path_;
  std::string hash_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

}  // namespace trimtab
