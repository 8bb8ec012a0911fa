// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a tokenizer.json, and behind a zero byte the tokenizer_config.json beside it: an Error that
// says why not, or a tokenizer that encodes and decodes.
#include "data/tokenizers/tokenizer_json.h"

#include <algorithm>

#include "data/tokenizers/bpe_tokenizer.h"
#include "fuzz/use_tokenizer.h"
#include "runtime/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string both(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(both.find('\0'), both.size());
  const std::string config = end < both.size() ? both.substr(end + 1) : R"({"eos_token": "</s>"})";
  try {
    const trimtab::BpeTokenizer tokenizer(
        trimtab::parse_tokenizer_json("tokenizer.json", both.substr(0, end), "config", config));
    trimtab::fuzz::use_tokenizer(tokenizer,
                                 "I'll <s> pay\n 12,  \xC3\xA4\xF0\x9F\x99\x82 a\xCC\x81 \xFFxyz</s>");
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
