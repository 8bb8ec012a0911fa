// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of rows, plain or gzip, and as one document: an Error that says which line is wrong, or
// rows whose fields can be asked for.
#include "data/jsonl.h"

#include "fuzz/input_file.h"

namespace {

void ask(const trimtab::JsonRow& row) {
  for (const char* field : {"text", "label", "answers"}) {
    if (!row.has(field)) continue;
    try {
      row.printed(field);
      row.texts(field);
      row.objects(field);
    } catch (const trimtab::Error&) {  // of another type
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const trimtab::fuzz::InputFile file(data, size);
  try {
    trimtab::for_each_json_row(file.path(), ask);
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  try {
    trimtab::for_each_json_member(trimtab::TextFile{file.path()}, ask);
  } catch (const trimtab::Error&) {
  }
  return 0;
}
