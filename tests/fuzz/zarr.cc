// SPDX-License-Identifier: Apache-2.0
//
// Any text, a zero byte and any bytes as .zarray and the first chunk of a zarr array: an Error that says why
// not, or as many values as its shape has.
#include "models/formats/zarr.h"

#include <cstdlib>

#include "fuzz/input_folder.h"
#include "runtime/shard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const trimtab::fuzz::InputFolder folder;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  folder.write(".zarray", input.substr(0, end));
  for (const char* chunk : {"0", "0.0"}) folder.write(chunk, input.substr(std::min(end + 1, input.size())));
  try {
    const trimtab::ZarrInfo info = trimtab::zarr_info(folder.path());
    if (static_cast<std::size_t>(trimtab::element_count(info.shape)) !=
        trimtab::read_zarr(folder.path(), info).size())
      std::abort();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
