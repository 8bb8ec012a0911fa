// SPDX-License-Identifier: Apache-2.0
//
// Learns a SentencePiece vocabulary from text, for T5s that are pretrained here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trimtab {

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
