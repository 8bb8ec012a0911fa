// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a decoder-only model: a GGUF file, whose config, weights and vocabulary are taken as for a
// run, or a config.json.
#include <string_view>

#include "data/tokenizers/bpe_tokenizer.h"
#include "experiments/gguf_file.h"
#include "fuzz/input_file.h"
#include "fuzz/read_everything.h"
#include "fuzz/use_tokenizer.h"
#include "models/llama/llama_config_json.h"
#include "models/llama/llama_of_gguf.h"

namespace {

template <typename Take>
void answered(Take take) {
  try {
    take();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
}

void use(const trimtab::LlamaConfig& config) {
  constexpr std::int64_t kMostColumns = 1 << 16;
  trimtab::fuzz::require(trimtab::parameter_count(config) > 0);
  if (config.head_dim <= kMostColumns)
    trimtab::fuzz::require(static_cast<std::int64_t>(trimtab::rotary_frequencies(config).size()) ==
                           config.head_dim / 2);
  trimtab::fuzz::require(trimtab::llama_config_from_json(trimtab::llama_config_to_json(config), "again") ==
                         config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!text.starts_with("GGUF")) {
    answered([&] { use(trimtab::llama_config_from_hf(text, "config.json")); });
    return 0;
  }
  const trimtab::fuzz::InputFile file(data, size);
  answered([&] {
    const trimtab::LlamaOfGguf model = trimtab::open_llama_gguf(file.path());
    use(model.config);
    trimtab::fuzz::read_everything(*model.weights);
  });
  answered([&] {
    const trimtab::Gguf gguf(file.path());
    trimtab::describe(gguf);
    const trimtab::BpeTokenizer tokenizer(trimtab::bpe_vocabulary(trimtab::vocabulary_of(gguf)));
    trimtab::fuzz::use_tokenizer(tokenizer, "ab <s> a\n 12 \xC3\xA4 \xE2\x96\x81 \xFF</s>");
  });
  return 0;
}
