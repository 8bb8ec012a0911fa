// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "models/formats/mapped_file.h"
#include "models/formats/safetensors.h"
#include "models/t5/t5_config_json.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"
#include "runtime/tensor_store.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShared = "shared.weight";
constexpr const char* kHead = "lm_head.weight";
constexpr const char* kAliases[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
// Early versions of transformers wrote this table, which nothing reads.
constexpr const char* kUnused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
constexpr const char* kConfigAttribute = "t5_config";
constexpr const char* kTokenizerTensor = "tokenizer.model";
constexpr const char* kTokenizerBytes = "tokenizer_bytes";

// A store has no type of one byte, so four bytes go into an int32, little-endian as everything in it.
constexpr std::size_t packed_words(std::size_t bytes) { return (bytes + 3) / 4; }

bool is_real(DType type) { return type == DType::kFloat32 || type == DType::kBFloat16; }

// The weights of a model under their logical names, and nothing else that the file may hold.
class T5WeightView final : public TensorSource {
 public:
  // `stored` maps each logical name to the one in `source`.
  T5WeightView(std::unique_ptr<TensorSource> source, std::map<std::string, std::string> stored)
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

 private:
  const std::string& find(const std::string& name) const {
    const auto stored = stored_.find(name);
    if (stored == stored_.end()) fail("{}: no weight '{}'{}", path(), name, did_you_mean(name, names()));
    return stored->second;
  }

  std::unique_ptr<TensorSource> source_;
  std::map<std::string, std::string> stored_;
};

// Calls use(slab, bytes) for parts of at most a few megabytes, whole rows each, in order.
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

// "a, b and 3 more".
std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t kMost = 8;
  if (items.size() <= kMost) return fmt::format("{}", fmt::join(items, ", "));
  return fmt::format("{} and {} more", fmt::join(items.begin(), items.begin() + kMost, ", "),
                     items.size() - kMost);
}

// Compares names, shapes and types with what the config asks for; everything that is wrong goes into one
// message. `stored` names the tensor of the file for each weight that has another name there.
void check_weights(const TensorSource& source, const T5Config& config, const std::set<std::string>& ignored,
                   const std::map<std::string, std::string>& stored) {
  std::vector<std::string> missing, misshapen, unexpected;
  std::set<std::string> expected(ignored);
  for (const T5Weight& weight : t5_weights(config)) {
    const auto other = stored.find(weight.name);
    const std::string& name = other == stored.end() ? weight.name : other->second;
    expected.insert(name);
    if (!source.has(name)) {
      missing.push_back(weight.name);
      continue;
    }
    const TensorInfo info = source.info(name);
    if (info.shape != weight.shape)
      misshapen.push_back(
          fmt::format("{} is {} and should be {}", name, to_string(info.shape), to_string(weight.shape)));
    else if (!is_real(info.dtype))
      misshapen.push_back(fmt::format("{} is of type {}", name, name_of(info.dtype)));
  }
  for (const std::string& name : source.names())
    if (!expected.contains(name)) unexpected.push_back(name);
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("missing: " + listed(missing));
  if (!misshapen.empty()) wrong.push_back("misshapen: " + listed(misshapen));
  if (!unexpected.empty()) wrong.push_back("unexpected: " + listed(unexpected));
  if (!wrong.empty())
    fail("{}: the tensors are not those of the T5 that its config describes; {}", source.path(),
         fmt::join(wrong, "; "));
}

std::unique_ptr<TensorSource> viewed(std::unique_ptr<TensorSource> source, const T5Config& config,
                                     const std::map<std::string, std::string>& renamed) {
  std::map<std::string, std::string> stored;
  for (const T5Weight& weight : t5_weights(config)) {
    const auto other = renamed.find(weight.name);
    stored.emplace(weight.name, other == renamed.end() ? weight.name : other->second);
  }
  return std::make_unique<T5WeightView>(std::move(source), std::move(stored));
}

std::string file_text(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

T5Files open_folder(const std::string& folder) {
  const std::string config_path = (fs::path(folder) / "config.json").string();
  if (!fs::exists(config_path))
    fail_config("{}: there is no config.json: is this the folder of a Hugging Face model?", folder);
  HfT5Config hf = t5_config_from_hf(file_text(config_path), config_path);
  T5Config& config = hf.config;
  std::unique_ptr<TensorSource> source = std::make_unique<Safetensors>(folder);

  // Tied tables may be stored under any of their names, and under several.
  std::map<std::string, std::string> renamed;
  std::set<std::string> ignored = {kUnused};
  for (const char* alias : kAliases) {
    ignored.insert(alias);
    if (!source->has(kShared) && renamed.empty() && source->has(alias)) renamed.emplace(kShared, alias);
  }
  const std::string table = renamed.empty() ? kShared : renamed.at(kShared);
  const bool has_head = source->has(kHead);
  config.tied_head = !has_head;
  if (!has_head && hf.says_untied)
    fail("{}: {} says that the head is not tied (tie_word_embeddings is false), but {} is missing",
         source->path(), config_path, kHead);
  check_weights(*source, config, ignored, renamed);
  for (const char* alias : kAliases)
    if (source->has(alias) && !same_values(*source, alias, table))
      fail("{}: {} differs from {}: encoder and decoder must share one table", source->path(), alias, table);
  config.tied_head = !has_head || same_values(*source, kHead, table);

  T5Files files{config, viewed(std::move(source), config, renamed), "", ""};
  const std::string tokenizer = (fs::path(folder) / "spiece.model").string();
  if (fs::exists(tokenizer)) {
    files.tokenizer_path = tokenizer;
    files.tokenizer_model = file_text(tokenizer);
  }
  return files;
}

std::string read_tokenizer(const TensorStore& store) {
  if (!store.has(kTokenizerTensor)) return "";
  std::vector<std::int32_t> words(
      static_cast<std::size_t>(element_count(store.info(kTokenizerTensor).shape)));
  store.read(kTokenizerTensor, {}, DType::kInt32, words.data());
  const std::int64_t bytes = store.integer(kTokenizerBytes);
  if (bytes < 0 || packed_words(static_cast<std::size_t>(bytes)) != words.size())
    fail("{}: {} holds {} numbers, which is not what {} = {} bytes take", store.path(), kTokenizerTensor,
         words.size(), kTokenizerBytes, bytes);
  std::string model(static_cast<std::size_t>(bytes), '\0');
  std::memcpy(model.data(), words.data(), model.size());
  return model;
}

void write_tokenizer(TensorStoreWriter& writer, const std::string& model) {
  std::vector<std::int32_t> words(packed_words(model.size()), 0);
  std::memcpy(words.data(), model.data(), model.size());
  writer.set(kTokenizerBytes, static_cast<std::int64_t>(model.size()));
  writer.write(kTokenizerTensor, {DType::kInt32, {static_cast<std::int64_t>(words.size())}}, words.data());
}

T5Files open_store(const std::string& path) {
  auto store = std::make_unique<TensorStore>(path);
  if (!store->attributes().contains(kConfigAttribute))
    fail_config(
        "{}: there is no attribute '{}': this store is not a T5 model, perhaps a checkpoint of tuning", path,
        kConfigAttribute);
  const T5Config config =
      t5_config_from_json(store->text(kConfigAttribute), fmt::format("{}: {}", path, kConfigAttribute));
  check_weights(*store, config, {kTokenizerTensor}, {});
  std::string tokenizer = read_tokenizer(*store);
  return {config, viewed(std::move(store), config, {}), "", std::move(tokenizer)};
}

}  // namespace

T5Files open_t5(const std::string& path) {
  if (!fs::exists(path))
    fail_config("{}: no such file or folder; a T5 is a Hugging Face folder or an HDF5 file of ours", path);
  return fs::is_directory(path) ? open_folder(path) : open_store(path);
}

void save_t5(const T5Config& config, const TensorSource& weights, const std::string& tokenizer_model,
             const std::string& path, DType type) {
  if (!is_real(type))
    fail_config("{}: weights are stored as float32 or bfloat16, not as {}", path, name_of(type));
  check(config);
  TensorStoreWriter writer(path);
  writer.set(kConfigAttribute, t5_config_to_json(config));
  for (const T5Weight& weight : t5_weights(config)) {
    const Shape shape = weights.info(weight.name).shape;
    if (shape != weight.shape)
      fail("{}: '{}' is {} and should be {}", weights.path(), weight.name, to_string(shape),
           to_string(weight.shape));
    in_pieces(weights, weight.name, type, [&](const Slab& slab, const std::vector<std::byte>& bytes) {
      writer.write(weight.name, {type, shape}, slab, bytes.data());
      return true;
    });
  }
  if (!tokenizer_model.empty()) write_tokenizer(writer, tokenizer_model);
  writer.commit();
}

void import_t5(const std::string& source, const std::string& out, DType type) {
  const T5Files files = open_t5(source);
  save_t5(files.config, *files.weights, files.tokenizer_model, out, type);
}

void export_t5_hf(const T5Files& files, const std::string& folder) {
  const T5Config& config = files.config;
  // A tied head whose output is not scaled cannot be told to version 4 but as a head of its own with equal
  // values.
  const bool head_in_file = !config.tied_head || !config.scale_decoder_output;
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const T5Weight& weight : t5_weights(config))
    tensors.push_back({weight.name, files.weights->info(weight.name)});
  const DType type = tensors.front().info.dtype;
  if (config.tied_head && head_in_file) tensors.push_back({kHead, tensors.front().info});
  std::ranges::stable_sort(tensors, std::ranges::greater(), [](const SafetensorsWriter::Tensor& tensor) {
    return size_of(tensor.info.dtype);
  });
  const std::string config_text = t5_config_to_hf(config, type, head_in_file);

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make the folder {}: {}", folder, error.message());
  SafetensorsWriter writer((fs::path(folder) / "model.safetensors").string(), tensors, {{"format", "pt"}});
  for (const SafetensorsWriter::Tensor& tensor : tensors) {
    const std::string source = files.weights->has(tensor.name) ? tensor.name : kShared;
    in_pieces(*files.weights, source, tensor.info.dtype,
              [&](const Slab&, const std::vector<std::byte>& bytes) {
                writer.append(bytes.data(), bytes.size());
                return true;
              });
  }
  writer.commit();
  if (!files.tokenizer_model.empty())
    write_file_atomically((fs::path(folder) / "spiece.model").string(), files.tokenizer_model);
  write_file_atomically((fs::path(folder) / "config.json").string(), config_text);
}

}  // namespace trimtab
