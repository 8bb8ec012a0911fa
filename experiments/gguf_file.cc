// SPDX-License-Identifier: Apache-2.0
#include "experiments/gguf_file.h"

#include <fmt/ranges.h>

#include <map>

#include "runtime/check.h"

namespace trimtab {

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

std::string describe(const Gguf& file) {
  std::map<std::string_view, int> tensors;
  for (const std::string& name : file.names()) ++tensors[file.stored_type(name)];
  std::vector<std::string> types;
  for (const auto& [type, count] : tensors) types.push_back(fmt::format("{} {}", count, type));
  const GgufVocabulary vocabulary = vocabulary_of(file);
  const std::string words =
      vocabulary.tokens.empty()
          ? "none"
          : fmt::format("{}{}, {} tokens", vocabulary.model,
                        vocabulary.pre.empty() ? "" : " cut as " + vocabulary.pre, vocabulary.tokens.size());
  return fmt::format("  GGUF of {} tensors: {}\n  vocabulary inside: {}\n", file.names().size(),
                     fmt::join(types, ", "), words);
}

}  // namespace trimtab
