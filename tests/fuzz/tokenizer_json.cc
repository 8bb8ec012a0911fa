// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a tokenizer.json: an Error that says why not, or a tokenizer that encodes and decodes.
#include "data/tokenizers/tokenizer_json.h"

#include "data/tokenizers/bpe_tokenizer.h"
#include "fuzz/use_tokenizer.h"
#include "runtime/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const trimtab::BpeTokenizer tokenizer(
        trimtab::parse_tokenizer_json("tokenizer.json", bytes, "config", R"({"eos_token": "</s>"})"));
    trimtab::fuzz::use_tokenizer(tokenizer,
                                 "I'll <s> pay\n 12,  \xC3\xA4\xF0\x9F\x99\x82 a\xCC\x81 \xFFxyz</s>");
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
