// SPDX-License-Identifier: Apache-2.0
#include "models/formats/weight_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include "models/formats/mapped_file.h"
#include "models/formats/safetensors.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerTensors[] = {"tokenizer.model", "tokenizer.config"};
// How many bytes of each count.
constexpr const char* kTokenizerBytes[] = {"tokenizer_bytes", "tokenizer_config_bytes"};

// A store has no type of one byte, so four bytes go into an int32, little-endian as everything in it.
constexpr std::size_t packed_words(std::size_t bytes) { return (bytes + 3) / 4; }

void write_packed(TensorStoreWriter& writer, std::size_t which, const std::string& bytes) {
  if (bytes.empty()) return;
  std::vector<std::int32_t> words(packed_words(bytes.size()), 0);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  writer.set(kTokenizerBytes[which], static_cast<std::int64_t>(bytes.size()));
  writer.write(kTokenizerTensors[which], {DType::kInt32, {static_cast<std::int64_t>(words.size())}},
               words.data());
}

std::string read_packed(const TensorStore& store, std::size_t which) {
  const char* tensor = kTokenizerTensors[which];
  if (!store.has(tensor)) return "";
  std::vector<std::int32_t> words(static_cast<std::size_t>(element_count(store.info(tensor).shape)));
  store.read(tensor, {}, DType::kInt32, words.data());
  const std::int64_t bytes = store.integer(kTokenizerBytes[which]);
  if (bytes < 0 || packed_words(static_cast<std::size_t>(bytes)) != words.size())
    fail("{}: {} holds {} numbers, which is not what {} = {} bytes take", store.path(), tensor, words.size(),
         kTokenizerBytes[which], bytes);
  std::string text(static_cast<std::size_t>(bytes), '\0');
  std::memcpy(text.data(), words.data(), text.size());
  return text;
}

class WeightView final : public TensorSource {
 public:
  // `stored` maps each logical name to the one in `source`.
  WeightView(std::unique_ptr<TensorSource> source, StoredNames stored)
      : source_(std::move(source)), stored_(std::move(stored)) {}

  const std::string& path() const override { return source_->path(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, unused] : stored_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return stored_.contains(name); }
  TensorInfo info(const std::string& name) const override { return source_->info(find(name)); }
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    source_->read(find(name), slab, type, out);
  }
  void verify() const override { source_->verify(); }
  void forget() const override { source_->forget(); }

 private:
  const std::string& find(const std::string& name) const {
    const auto stored = stored_.find(name);
    if (stored == stored_.end()) fail("{}: no weight '{}'{}", path(), name, did_you_mean(name, names()));
    return stored->second;
  }

  std::unique_ptr<TensorSource> source_;
  StoredNames stored_;
};

// "a, b and 3 more".
std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t kMost = 8;
  if (items.size() <= kMost) return fmt::format("{}", fmt::join(items, ", "));
  return fmt::format("{} and {} more", fmt::join(items.begin(), items.begin() + kMost, ", "),
                     items.size() - kMost);
}

const std::string& stored_name(const StoredNames& stored, const std::string& name) {
  const auto other = stored.find(name);
  return other == stored.end() ? name : other->second;
}

}  // namespace

std::int64_t element_count(const WeightShapes& weights) {
  std::int64_t count = 0;
  for (const WeightShape& weight : weights) count += element_count(weight.shape);
  return count;
}

bool is_weight_type(DType type) { return type == DType::kFloat32 || type == DType::kBFloat16; }

void check_weights(const TensorSource& source, const WeightShapes& expected,
                   const std::set<std::string>& ignored, const StoredNames& stored, const std::string& kind) {
  std::vector<std::string> missing, misshapen, unexpected;
  std::set<std::string> known(ignored);
  for (const WeightShape& weight : expected) {
    const std::string& name = stored_name(stored, weight.name);
    known.insert(name);
    if (!source.has(name)) {
      missing.push_back(weight.name);
      continue;
    }
    const TensorInfo info = source.info(name);
    if (info.shape != weight.shape)
      misshapen.push_back(
          fmt::format("{} is {} and should be {}", name, to_string(info.shape), to_string(weight.shape)));
    else if (!is_weight_type(info.dtype))
      misshapen.push_back(fmt::format("{} is of type {}", name, name_of(info.dtype)));
  }
  for (const std::string& name : source.names())
    if (!known.contains(name)) unexpected.push_back(name);
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("missing: " + listed(missing));
  if (!misshapen.empty()) wrong.push_back("misshapen: " + listed(misshapen));
  if (!unexpected.empty()) wrong.push_back("unexpected: " + listed(unexpected));
  if (!wrong.empty())
    fail("{}: the tensors are not those of the {} that its config describes; {}", source.path(), kind,
         fmt::join(wrong, "; "));
}

std::unique_ptr<TensorSource> weight_view(std::unique_ptr<TensorSource> source, const WeightShapes& weights,
                                          const StoredNames& stored) {
  StoredNames all;
  for (const WeightShape& weight : weights) all.emplace(weight.name, stored_name(stored, weight.name));
  return std::make_unique<WeightView>(std::move(source), std::move(all));
}

void in_pieces(const TensorSource& source, const std::string& name, DType type,
               const std::function<bool(const Slab&, const std::vector<std::byte>&)>& use) {
  constexpr std::int64_t kPiece = 16 << 20;
  const Shape shape = source.info(name).shape;
  const std::int64_t rows = shape.empty() ? 1 : shape[0];
  if (element_count(shape) == 0) return;
  const auto row_bytes = element_count(shape) / rows * static_cast<std::int64_t>(size_of(type));
  const std::int64_t step = std::max<std::int64_t>(1, kPiece / row_bytes);
  std::vector<std::byte> bytes;
  for (std::int64_t row = 0; row < rows; row += step) {
    const std::int64_t count = std::min(step, rows - row);
    const Slab slab = shape.empty() ? Slab{} : slab_of_dim(shape, 0, {row, count});
    bytes.resize(static_cast<std::size_t>(count * row_bytes));
    source.read(name, slab, type, bytes.data());
    if (!use(slab, bytes)) return;
  }
}

bool same_values(const TensorSource& source, const std::string& a, const std::string& b) {
  if (source.info(a).shape != source.info(b).shape) return false;
  bool same = true;
  std::vector<std::byte> other;
  in_pieces(source, a, DType::kFloat32, [&](const Slab& slab, const std::vector<std::byte>& bytes) {
    other.resize(bytes.size());
    source.read(b, slab, DType::kFloat32, other.data());
    same = std::memcmp(bytes.data(), other.data(), bytes.size()) == 0;
    return same;
  });
  return same;
}

std::string file_text(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void write_weights(TensorStoreWriter& writer, const TensorSource& weights, const WeightShapes& list,
                   DType type) {
  weights.verify();
  for (const WeightShape& weight : list) {
    const Shape shape = weights.info(weight.name).shape;
    if (shape != weight.shape)
      fail("{}: '{}' is {} and should be {}", weights.path(), weight.name, to_string(shape),
           to_string(weight.shape));
    in_pieces(weights, weight.name, type, [&](const Slab& slab, const std::vector<std::byte>& bytes) {
      writer.write(weight.name, {type, shape}, slab, bytes.data());
      return true;
    });
  }
}

std::set<std::string> tokenizer_tensors() {
  return {std::begin(kTokenizerTensors), std::end(kTokenizerTensors)};
}

void write_tokenizer(TensorStoreWriter& writer, const TokenizerFile& tokenizer) {
  write_packed(writer, 0, tokenizer.bytes);
  write_packed(writer, 1, tokenizer.config);
}

TokenizerFile read_tokenizer(const TensorStore& store) {
  TokenizerFile tokenizer;
  tokenizer.bytes = read_packed(store, 0);
  tokenizer.config = read_packed(store, 1);
  return tokenizer;
}

void write_tokenizer(const std::string& folder, const TokenizerFile& tokenizer) {
  if (!tokenizer.config.empty())
    write_file_atomically((fs::path(folder) / kTokenizerConfig).string(), tokenizer.config);
  if (!tokenizer.bytes.empty())
    write_file_atomically((fs::path(folder) / tokenizer.name).string(), tokenizer.bytes);
}

void write_safetensors(const TensorSource& weights, const WeightShapes& list, const StoredNames& stored,
                       const std::string& folder) {
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const WeightShape& weight : list)
    tensors.push_back({weight.name, weights.info(stored_name(stored, weight.name))});
  std::ranges::stable_sort(tensors, std::ranges::greater(), [](const SafetensorsWriter::Tensor& tensor) {
    return size_of(tensor.info.dtype);
  });
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make the folder {}: {}", folder, error.message());
  SafetensorsWriter writer((fs::path(folder) / "model.safetensors").string(), tensors, {{"format", "pt"}});
  for (const SafetensorsWriter::Tensor& tensor : tensors)
    in_pieces(weights, stored_name(stored, tensor.name), tensor.info.dtype,
              [&](const Slab&, const std::vector<std::byte>& bytes) {
                writer.append(bytes.data(), bytes.size());
                return true;
              });
  writer.commit();
}

}  // namespace trimtab
