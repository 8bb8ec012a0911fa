// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a GGUF file, and as a model of the Llama kind in one: an Error that says why not, or metadata
// and tensors that can be read.
#include "models/formats/gguf.h"

#include "fuzz/input_file.h"
#include "fuzz/read_everything.h"
#include "models/llama/llama_gguf.h"

namespace {

using trimtab::GgufMetadata;

template <typename Get>
void ask(Get get) {
  try {
    get();
  } catch (const trimtab::Error&) {  // the value is of another type
  }
}

void read_metadata(const GgufMetadata& metadata) {
  for (const std::string& key : metadata.keys()) {
    ask([&] { return metadata.integer(key); });
    ask([&] { return metadata.real(key); });
    ask([&] { return metadata.truth(key); });
    ask([&] { return metadata.text(key); });
    ask([&] { return metadata.integers(key); });
    ask([&] { return metadata.reals(key); });
    ask([&] { return metadata.texts(key); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const trimtab::fuzz::InputFile file(data, size);
  try {
    auto gguf = std::make_unique<trimtab::Gguf>(file.path());
    read_metadata(gguf->metadata());
    trimtab::fuzz::read_everything(*gguf);
    trimtab::fuzz::read_everything(*trimtab::llama_gguf_weights(std::move(gguf)));
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
