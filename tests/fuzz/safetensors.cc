// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a safetensors file: an Error that says why not, or tensors that can be read.
#include "models/formats/safetensors.h"

#include "fuzz/input_file.h"
#include "fuzz/read_everything.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const trimtab::fuzz::InputFile file(data, size);
  try {
    trimtab::fuzz::read_everything(trimtab::Safetensors(file.path()));
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
