// SPDX-License-Identifier: Apache-2.0
//
// The safetensors format (https://github.com/huggingface/safetensors#format): u64 length, a JSON header that
// names dtype, shape and byte range of each tensor, and the bytes. The reader maps the files, checks every
// number of the header before anything is read, and copies slabs straight from the map. The writer streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/formats/mapped_file.h"
#include "runtime/atomic_file.h"
#include "runtime/tensor_source.h"

namespace trimtab {

class Safetensors : public TensorSource {
 public:
  // `path` is one file, or a folder that holds model.safetensors or model.safetensors.index.json with its
  // shards. Throws Error that names file, tensor and values when anything is missing, cut off, overlapping or
  // inconsistent.
  explicit Safetensors(const std::string& path);

  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override { return entries_.contains(name); }
  // F16 is reported as float32, which is what it is read as.
  TensorInfo info(const std::string& name) const override;
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override;
  void forget() const override;

  // The header's __metadata__, of all shards together.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  enum class Stored { kF32, kBF16, kF16, kI32, kI64 };
  struct Entry {
    Stored stored = Stored::kF32;
    Shape shape;
    std::size_t file = 0;
    std::span<const std::byte> bytes;
  };
  struct HeaderReader;

  void add_file(const std::string& path);
  void add_shards(const std::string& index_path, const std::string& folder);
  const Entry& find(const std::string& name) const;

  std::string path_;
  std::vector<MappedFile> files_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Writes one file, tensor after tensor in the order of `tensors`, never holding more than what is passed to
// append().
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    TensorInfo info;
  };
  // Order the tensors by falling element size: readers want each tensor at a multiple of its element size.
  SafetensorsWriter(const std::string& path, const std::vector<Tensor>& tensors,
                    const std::map<std::string, std::string>& metadata = {});

  // The next bytes, row-major, little endian; a tensor may come in several pieces.
  void append(const void* bytes, std::size_t count);
  // Throws Error when bytes are missing; the file appears under its name only now.
  void commit();

 private:
  AtomicFile file_;
  std::string path_;
  std::uint64_t expected_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace trimtab
