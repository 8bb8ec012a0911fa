// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a tensor store: an Error that says why not, or attributes and tensors that can be read.
#include "runtime/tensor_store.h"

#include "fuzz/input_file.h"
#include "fuzz/read_everything.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const trimtab::fuzz::InputFile file(data, size);
  try {
    const trimtab::TensorStore store(file.path());
    trimtab::fuzz::read_everything(store);
    store.verify();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
