// SPDX-License-Identifier: Apache-2.0
//
// The GGUF format, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata,
// then name, shape, type and place of each tensor, then the data. The file is mapped and every number of its
// header checked before anything is read; a slab costs the decoding of the blocks that it touches. Names and
// order of rows are the file's; models/llama/llama_gguf.h knows what they mean.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/formats/gguf_blocks.h"
#include "models/formats/gguf_metadata.h"
#include "models/formats/mapped_file.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// Whether the file begins as a GGUF does.
bool is_gguf(const std::string& path);

class Gguf : public TensorSource {
 public:
  // Throws Error that names file, key or tensor, values and remedy when the file is no GGUF of these
  // versions, is one part of several, cut off or inconsistent, or holds a tensor of a type that is not read.
  explicit Gguf(const std::string& path);

  const std::string& path() const override { return file_.path(); }
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override { return entries_.contains(name); }
  // Shapes are row-major, [out, in] for a matrix: the file stores them in the opposite order. BF16 is
  // bfloat16, all else is float32, which is what it is decoded to.
  TensorInfo info(const std::string& name) const override;
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override;
  void forget() const override { file_.forget(); }

  const GgufMetadata& metadata() const { return metadata_; }
  // The bytes of a GGUF file with the same metadata, the vocabulary among it, and no tensor.
  std::string without_tensors() const;
  // "Q4_1".
  std::string_view stored_type(const std::string& name) const { return find(name).type->name; }

 private:
  struct Entry {
    const GgufType* type = nullptr;
    Shape shape;
    std::span<const std::byte> bytes;
  };
  struct HeaderReader;

  const Entry& find(const std::string& name) const;

  MappedFile file_;
  GgufMetadata metadata_;
  std::size_t metadata_end_ = 0;  // in the file
  std::map<std::string, Entry> entries_;
};

}  // namespace trimtab
