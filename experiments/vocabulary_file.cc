// SPDX-License-Identifier: Apache-2.0
#include "experiments/vocabulary_file.h"

#include <filesystem>

#include "data/text_file.h"
#include "data/tokenizers/bpe_tokenizer.h"
#include "data/tokenizers/gguf_vocabulary.h"
#include "data/tokenizers/open_tokenizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"
#include "models/formats/gguf.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// What a GGUF says of its vocabulary, key by key; what it does not say stays empty.
GgufVocabulary vocabulary_of(const Gguf& file) {
  const GgufMetadata& metadata = file.metadata();
  const auto take = [&](const char* key, auto read, auto& into) {
    const std::string full = std::string("tokenizer.ggml.") + key;
    if (metadata.has(full)) into = read(full);
  };
  const auto text = [&](const std::string& key) { return metadata.text(key); };
  const auto texts = [&](const std::string& key) { return metadata.texts(key); };
  const auto integer = [&](const std::string& key) { return metadata.integer(key); };
  const auto truth = [&](const std::string& key) { return metadata.truth(key); };
  GgufVocabulary out;
  out.path = file.path();
  take("model", text, out.model);
  take("pre", text, out.pre);
  take("tokens", texts, out.tokens);
  take("merges", texts, out.merges);
  std::vector<std::int64_t> types;
  take(
      "token_type", [&](const std::string& key) { return metadata.integers(key); }, types);
  for (const std::int64_t type : types) out.token_type.push_back(static_cast<std::int32_t>(type));
  std::vector<double> scores;
  take(
      "scores", [&](const std::string& key) { return metadata.reals(key); }, scores);
  for (const double score : scores) out.scores.push_back(static_cast<float>(score));
  take("bos_token_id", integer, out.bos_token_id);
  take("eos_token_id", integer, out.eos_token_id);
  take("padding_token_id", integer, out.padding_token_id);
  take("unknown_token_id", integer, out.unknown_token_id);
  take("add_bos_token", truth, out.add_bos_token);
  take("add_space_prefix", truth, out.add_space_prefix);
  return out;
}

}  // namespace

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
