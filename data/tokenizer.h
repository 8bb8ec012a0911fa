// SPDX-License-Identifier: Apache-2.0
//
// Text <-> token ids with a SentencePiece model, as T5 uses it: the ids of the model come first, and the
// sentinels <extra_id_0>, <extra_id_1>, ... lie on top in descending order, so that <extra_id_0> has the
// highest id. Const calls may be made from several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace trimtab {

using TokenId = std::int32_t;

class Tokenizer {
 public:
  // Throws Error if the file is missing or no SentencePiece model, ConfigError if the model has no pad, eos
  // or unknown piece (T5 needs all three).
  explicit Tokenizer(const std::string& path, int extra_ids = 100);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Ids of the text alone: no eos, no padding. The literal text "<extra_id_3>" becomes that sentinel, and the
  // text around it is encoded piece by piece, as the T5 tokenizer of Hugging Face does.
  std::vector<TokenId> encode(std::string_view text) const;
  // Text of the ids; pad and eos are left out, sentinels are printed as "<extra_id_k>" between single blanks.
  // Ids above the vocabulary (padding rows of an embedding) print as the unknown piece does. Throws Error for
  // negative ids.
  std::string decode(std::span<const TokenId> ids) const;

  TokenId eos() const { return eos_; }
  TokenId pad() const { return pad_; }
  TokenId unk() const { return unk_; }
  // Pieces of the model plus sentinels.
  TokenId size() const { return pieces_ + extra_ids_; }
  int extra_ids() const { return extra_ids_; }
  // The piece as it stands in the vocabulary ("▁the"), or "<extra_id_k>". Throws Error outside [0, size()).
  std::string piece(TokenId id) const;
  // Id of <extra_id_k>. Throws Error outside [0, extra_ids()).
  TokenId sentinel(int k) const;
  bool is_sentinel(TokenId id) const { return id >= pieces_ && id < size(); }

  // SHA-256 of the model file, in hexadecimal: kept in checkpoints, so that no other vocabulary is used with
  // them.
  const std::string& hash() const { return hash_; }
  const std::string& path() const { return path_; }
  // Throws ConfigError if the embedding has fewer rows than the vocabulary. More rows are usual (padding).
  void check_fits(std::int64_t embedding_rows) const;

 private:
  void append_plain(std::string_view text, std::vector<TokenId>& ids) const;

  std::string path_;
  std::string hash_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> model_;
  TokenId pieces_ = 0;
  int extra_ids_ = 0;
  TokenId eos_ = 0;
  TokenId pad_ = 0;
  TokenId unk_ = 0;
};

struct VocabularyOptions {
  std::vector<std::string> files;      // text: plain, gzip or zip
  int size = 8000;                     // pieces, without sentinels
  std::string out;                     // the model file
  std::int64_t max_lines = 1'000'000;  // of longer input every k-th line is used
};

// Trains a unigram vocabulary that is built as T5's: pad 0, eos 1, unk 2, no bos, no byte fallback, nmt_nfkc.
// The same input gives the same bytes: one thread, no random choice of lines. Throws Error (file, or what
// SentencePiece says).
void train_vocabulary(const VocabularyOptions& options);

}  // namespace trimtab
