// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the index of a T5X checkpoint: an Error that says why not, or arrays of as many values as
// their shapes have.
#include "models/formats/t5x_checkpoint.h"

#include <cstdlib>

#include "fuzz/input_folder.h"
#include "runtime/shard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const trimtab::fuzz::InputFolder folder;
  folder.write("checkpoint", {reinterpret_cast<const char*>(data), size});
  try {
    const trimtab::T5xCheckpoint checkpoint(folder.path());
    for (const std::string& name : checkpoint.names())
      if (static_cast<std::size_t>(trimtab::element_count(checkpoint.shape(name))) !=
          checkpoint.values(name).size())
        std::abort();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
