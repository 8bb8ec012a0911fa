// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "models/formats/safetensors.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

const char* safetensors_name(DType type) {
  switch (type) {
    case DType::kFloat32:
      return "F32";
    case DType::kBFloat16:
      return "BF16";
    case DType::kInt32:
      return "I32";
    default:
      return "I64";
  }
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path, const std::vector<Tensor>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), path_(path) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const Tensor& tensor : tensors) {
    const std::uint64_t begin = expected_;
    const std::size_t element = size_of(tensor.info.dtype);
    TT_CHECK(begin % element == 0, "{}: tensor '{}' would begin at byte {}, which is no multiple of {}",
             path_, tensor.name, begin, element);
    TT_CHECK(!header.contains(tensor.name) && tensor.name != "__metadata__", "{}: tensor '{}' is there twice",
             path_, tensor.name);
    expected_ += static_cast<std::uint64_t>(element_count(tensor.info.shape)) * element;
    header[tensor.name] = {{"dtype", safetensors_name(tensor.info.dtype)},
                           {"shape", tensor.info.shape},
                           {"data_offsets", {begin, expected_}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of eight bytes
  const auto length = static_cast<std::uint64_t>(text.size());
  file_.write(&length, sizeof(length));
  file_.write(text);
}

void SafetensorsWriter::append(const void* bytes, std::size_t count) {
  TT_CHECK(count <= expected_ - written_, "{}: {} bytes more than the {} that the header promises", path_,
           count - (expected_ - written_), expected_);
  file_.write(bytes, count);
  written_ += count;
}

void SafetensorsWriter::commit() {
  TT_CHECK(written_ == expected_, "{}: {} of {} bytes were written", path_, written_, expected_);
  file_.commit();
}

}  // namespace trimtab
