// SPDX-License-Identifier: Apache-2.0
//
// Any lines as the vocabulary of a GGUF file: model, pre and numbers of special tokens, then merges, which
// begin with '=', and tokens, which begin with their type and score.
#include <string>

#include "data/tokenizers/bpe_tokenizer.h"
#include "data/tokenizers/gguf_vocabulary.h"
#include "fuzz/use_tokenizer.h"
#include "runtime/check.h"

namespace {

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

trimtab::GgufVocabulary vocabulary_of(std::string_view text) {
  trimtab::GgufVocabulary gguf;
  gguf.path = "model.gguf";
  gguf.model = next_line(text);
  gguf.pre = next_line(text);
  const std::string_view ids = next_line(text);
  if (ids.size() > 1) gguf.eos_token_id = ids[0] - '0', gguf.unknown_token_id = ids[1] - '0';
  if (ids.size() > 2) gguf.bos_token_id = ids[2] - '0';
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.starts_with('=')) {
      gguf.merges.emplace_back(line.substr(1));
    } else if (line.size() > 1) {
      gguf.token_type.push_back(line[0] - '0');
      gguf.scores.push_back(static_cast<float>(-line[1]));
      gguf.tokens.emplace_back(line.substr(2));
    }
  }
  if (gguf.model == "gpt2") gguf.scores.clear();
  return gguf;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const trimtab::BpeTokenizer tokenizer(
        trimtab::bpe_vocabulary(vocabulary_of({reinterpret_cast<const char*>(data), size})));
    trimtab::fuzz::use_tokenizer(tokenizer,
                                 "abc <s> ab\n 12,  \xC3\xA4\xF0\x9F\x99\x82 \xE2\x96\x81 \xFFxyz</s>");
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
