// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/open_tokenizer.h"

#include "data/text_file.h"
#include "data/tokenizers/bpe_tokenizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"
#include "data/tokenizers/t5_tokenizer.h"
#include "data/tokenizers/tokenizer_json.h"

namespace trimtab {

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path) {
  if (path.ends_with(".json")) return std::make_unique<BpeTokenizer>(read_tokenizer_json(path));
  SentencePieceModel model(path, read_bytes(path));
  if (model.pad() && !model.bos()) return std::make_unique<T5Tokenizer>(std::move(model));
  return std::make_unique<SentencePieceTokenizer>(std::move(model));
}

}  // namespace trimtab
