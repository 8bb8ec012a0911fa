// SPDX-License-Identifier: Apache-2.0
//
// A small vocabulary for tests, trained on the spot from text that is written here.
#pragma once

#include <string>

#include "data/temp_folder.h"
#include "data/tokenizers/t5_tokenizer.h"
#include "data/tokenizers/vocabulary_trainer.h"

namespace trimtab {

constexpr int kTinyPieces = 120;

// Some hundred lines of plain English words.
std::string tiny_text();

// Trains into the folder and returns the path of the model.
std::string train_tiny(const TempFolder& folder, const std::string& name = "tiny.model");

// A trained tokenizer that lives as long as its folder.
class TinyTokenizer {
 public:
  explicit TinyTokenizer(int extra_ids = 100) : tokenizer_(train_tiny(folder_), extra_ids) {}
  const T5Tokenizer& operator*() const { return tokenizer_; }
  const T5Tokenizer* operator->() const { return &tokenizer_; }

 private:
  TempFolder folder_;
  T5Tokenizer tokenizer_;
};

}  // namespace trimtab
