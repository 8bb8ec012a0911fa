// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a .npy file: an Error that says why not, or as many values as its shape has.
#include "models/formats/npy.h"

#include <cstdlib>

#include "fuzz/input_file.h"
#include "runtime/shard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const trimtab::fuzz::InputFile file(data, size);
  try {
    const trimtab::NpyArray array = trimtab::read_npy(file.path());
    if (static_cast<std::size_t>(trimtab::element_count(array.shape)) != array.values.size()) std::abort();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
