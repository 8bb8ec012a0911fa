// SPDX-License-Identifier: Apache-2.0
//
// A corpus as one long array of ids, in a file that is mapped, not read: ranks on one machine share its
// pages. The file lies beside the text (or in a cache folder), its name and header carry the hash of text and
// vocabulary, so that a stale one is never used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "data/text_file.h"
#include "data/tokenizer.h"

namespace trimtab {

// Read only; moved, not copied; the mapping ends with the object.
class TokenArray {
 public:
  // Throws Error that names the file if it is missing, cut, or holds another key.
  TokenArray(const std::string& path, const std::string& key);
  ~TokenArray();
  TokenArray(TokenArray&& other) noexcept;
  TokenArray& operator=(TokenArray&&) = delete;

  std::span<const TokenId> ids() const;

  // Written beside and renamed: of several ranks that write the same array, one wins and all are right.
  static void write(const std::string& path, const std::string& key, std::span<const TokenId> ids);

 private:
  void* mapping_ = nullptr;
  std::size_t bytes_ = 0;
};

struct CorpusOptions {
  std::string path{};            // text: plain, gzip, or zip of text files
  double weight = 1;             // share of the rows of a batch, relative to the other corpora
  std::string cache{};           // folder for the array of ids; "" is the folder of the text
  bool replace_invalid = false;  // bytes that are no UTF-8 become U+FFFD rather than an error
};

template <class V>
void describe(V& v, CorpusOptions& s) {
  v.field("path", s.path, "Text: plain, gzip, or zip of text files.", {.required = true});
  v.field("weight", s.weight, "Share of the rows of a batch, relative to the other corpora.",
          {.min = 0, .above_min = true});
  v.field("cache", s.cache, "Folder for the tokenised text; empty: the folder of the text.");
  v.field("replace_invalid", s.replace_invalid,
          "Replace bytes that are no UTF-8 by U+FFFD rather than refuse the text.");
}

// The array of a corpus: opened if it is cached, else tokenised and cached first. Lines are laid end to end
// without separators, as T5's reduce_concat_tokens does with documents; form feeds, blank lines and "=== name
// ===" headings are left out. Throws Error (file, line, reason) for bad text, a corpus without text, or a
// cache that cannot be written.
TokenArray open_corpus(const CorpusOptions& options, const Tokenizer& tokenizer);

}  // namespace trimtab
