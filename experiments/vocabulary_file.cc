// SPDX-License-Identifier: Apache-2.0
#include "experiments/vocabulary_file.h"

#include <filesystem>

#include "data/text_file.h"
#include "data/tokenizers/bpe_tokenizer.h"
#include "data/tokenizers/open_tokenizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"
#include "experiments/gguf_file.h"
#include "runtime/check.h"

namespace trimtab {

std::string vocabulary_file(const std::string& named, const TokenizerFile& tokenizer,
                            const std::string& weights, const std::string& folder) {
  if (!named.empty()) {
    if (!std::filesystem::exists(named)) fail_config("model.vocabulary: {}: no such file", named);
    return named;
  }
  if (!tokenizer.path.empty()) return tokenizer.path;
  if (tokenizer.bytes.empty())
    fail_config(
        "model.vocabulary: neither named nor in or beside {}; set it to the vocabulary ({}) that the model "
        "was "
        "trained with",
        weights, tokenizer.name);
  std::filesystem::create_directories(folder);
  write_tokenizer(folder, tokenizer);
  return folder + "/" + tokenizer.name;
}

std::unique_ptr<Tokenizer> open_vocabulary(const std::string& named, const BaseModel& model,
                                           const std::string& folder) {
  const std::string path = vocabulary_file(named, model.tokenizer(), model.weights().path(), folder);
  if (is_gguf(path)) return std::make_unique<BpeTokenizer>(bpe_vocabulary(vocabulary_of(Gguf(path))));
  if (model.text_form() == TextForm::kDecoderOnly && !path.ends_with(".json"))
    return std::make_unique<SentencePieceTokenizer>(SentencePieceModel(path, read_bytes(path)));
  return open_tokenizer(path);
}

}  // namespace trimtab
