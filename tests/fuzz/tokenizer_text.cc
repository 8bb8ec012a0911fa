// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as text, for tokenizers of every kind.
#include <array>
#include <memory>
#include <string>

#include "data/tokenizers/open_tokenizer.h"
#include "fuzz/use_tokenizer.h"

namespace {

using trimtab::Tokenizer;

std::unique_ptr<Tokenizer> opened(const std::string& name) {
  return trimtab::open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/" + name + "/tokenizer.json");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // These neither normalise nor drop anything.
  static const std::array exact = {opened("gpt2"), opened("smollm"), opened("llama3")};
  static const std::array others = {opened("prefix"), opened("qwen2"),     opened("removed"),
                                    opened("llama2"), opened("metaspace"), opened("words")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& tokenizer : others) trimtab::fuzz::use_tokenizer(*tokenizer, text);
  for (const auto& tokenizer : exact) {
    trimtab::fuzz::use_tokenizer(*tokenizer, text);
    // One of llama3's added tokens takes the blanks in front of it.
    const bool there = text.find("mark") != std::string_view::npos;
    trimtab::fuzz::require(there ||
                           tokenizer->decode(tokenizer->encode(text)) == trimtab::replace_invalid_utf8(text));
  }
  return 0;
}
