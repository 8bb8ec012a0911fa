// SPDX-License-Identifier: Apache-2.0
#include "data/example_cache.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/file_lock.h"
#include "runtime/log.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

// Part of every hash: a change of what is stored, or of how text becomes ids, raises it.
constexpr std::string_view kFormat = "trimtab tokenised examples 2\n";
constexpr const char* kKey = "key";
constexpr std::size_t kBlock = 2048;  // examples that a thread takes at once

std::string key_of(const TextRecipe& recipe, const std::vector<TextExample>& examples) {
  Sha256 hash;
  hash.update(kFormat);
  hash.update(recipe.identity());
  for (const TextExample& example : examples) {
    hash.update(fmt::format("\n{} {} ", example.input.size(), example.target.size()));
    hash.update(example.input);
    hash.update(example.target);
  }
  return hash.hex();
}

// "rte" of "superglue/rte" would be short, but not all that a name has to be.
std::string file_of(const std::string& folder, std::string name, const std::string& key) {
  std::ranges::replace(name, '/', '-');
  constexpr std::size_t kDigits = 16;
  return (std::filesystem::path(folder) / fmt::format("{}-{}.h5", name, key.substr(0, kDigits))).string();
}

struct Block {
  ExampleStore store;
  RecipeCounts counts;
};

// Says how far it is once that is worth a line.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total) {}

  void add(std::size_t examples) {
    const std::scoped_lock lock(mutex_);
    done_ += examples;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || done_ == total_) return;
    TT_LOG(info, "tokenised {} of {} examples", done_, total_);
    constexpr std::chrono::seconds kBetween(10);
    next_ = now + kBetween;
  }

 private:
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::size_t total_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::seconds(3);
};

Block encode_block(const TextRecipe& recipe, const std::vector<TextExample>& examples, std::size_t begin) {
  Block out;
  const std::size_t end = std::min(begin + kBlock, examples.size());
  for (std::size_t i = begin; i < end; ++i) {
    out.store.inputs.append(recipe.encode_input(examples[i].input, out.counts));
    out.store.targets.append(recipe.encode_target(examples[i].target, out.counts));
    ++out.counts.examples;
  }
  return out;
}

// In the order of the examples, whatever the number of threads.
std::vector<Block> encode(const TextRecipe& recipe, const std::vector<TextExample>& examples) {
  std::vector<Block> blocks((examples.size() + kBlock - 1) / kBlock);
  Progress progress(examples.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> errors(
      std::min<std::size_t>(blocks.size(), std::max(1u, std::thread::hardware_concurrency())));
  const auto work = [&](std::exception_ptr& error) {
    try {
      for (std::size_t i = next++; i < blocks.size(); i = next++) {
        blocks[i] = encode_block(recipe, examples, i * kBlock);
        progress.add(blocks[i].store.size());
      }
    } catch (...) {
      error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < errors.size(); ++i) threads.emplace_back(work, std::ref(errors[i]));
    work(errors.front());
  }
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  return blocks;
}

void write_ragged(TensorStoreWriter& writer, const std::string& name, const std::vector<Block>& blocks,
                  RaggedIds ExampleStore::*side) {
  std::int64_t rows = 0, total = 0;
  for (const Block& block : blocks) {
    rows += static_cast<std::int64_t>((block.store.*side).rows());
    total += static_cast<std::int64_t>((block.store.*side).ids().size());
  }
  std::vector<std::int64_t> offsets = {0};
  offsets.reserve(static_cast<std::size_t>(rows) + 1);
  for (const Block& block : blocks) {
    const RaggedIds& part = block.store.*side;
    const std::int64_t begin = offsets.back();
    writer.write(name + "_ids", {DType::kInt32, {total}},
                 {{begin}, {static_cast<std::int64_t>(part.ids().size())}}, part.ids().data());
    for (const std::int64_t offset : part.offsets().subspan(1)) offsets.push_back(begin + offset);
  }
  writer.write(name + "_offsets", {DType::kInt64, {rows + 1}}, offsets.data());
}

void write(const std::string& path, const std::string& key, const std::vector<Block>& blocks) {
  TensorStoreWriter writer(path);
  write_ragged(writer, "input", blocks, &ExampleStore::inputs);
  write_ragged(writer, "target", blocks, &ExampleStore::targets);
  RecipeCounts counts;
  for (const Block& block : blocks) counts += block.counts;
  writer.set(kKey, key);
  writer.set("examples", static_cast<std::int64_t>(counts.examples));
  writer.set("cut_inputs", static_cast<std::int64_t>(counts.cut_inputs));
  writer.set("cut_targets", static_cast<std::int64_t>(counts.cut_targets));
  writer.set("longest_input", static_cast<std::int64_t>(counts.longest_input));
  writer.set("longest_target", static_cast<std::int64_t>(counts.longest_target));
  writer.commit();
}

RaggedIds read_ragged(const TensorStore& store, const std::string& name, std::size_t rows) {
  RaggedIds out(MappedTensor(store, name + "_ids"), MappedTensor(store, name + "_offsets"));
  if (out.offsets().size() != rows + 1 || out.offsets().back() != static_cast<std::int64_t>(out.ids().size()))
    fail("{}: {} rows of {} should be {}", store.path(), out.offsets().size(), name, rows);
  return out;
}

// Throws Error if it is not whole.
TokenisedExamples open(const std::string& path, const std::string& key, std::size_t rows) {
  const TensorStore store(path);
  if (store.text(kKey) != key) fail("{}: holds other examples", path);
  store.verify();
  const auto count = [&](const char* name) { return static_cast<std::size_t>(store.integer(name)); };
  RecipeCounts counts{count("examples"), count("cut_inputs"), count("cut_targets"), count("longest_input"),
                      count("longest_target")};
  return {{read_ragged(store, "input", rows), read_ragged(store, "target", rows)}, counts};
}

}  // namespace

TokenisedExamples tokenise(const std::string& folder, const std::string& name, const TextRecipe& recipe,
                           const std::vector<TextExample>& examples) {
  if (examples.empty()) fail("the data set is empty: there is no example to encode");
  const std::string key = key_of(recipe, examples);
  const std::string path = file_of(folder, name, key);
  std::optional<FileLock> lock;
  for (;;) {
    if (std::filesystem::exists(path)) {
      try {
        return open(path, key, examples.size());
      } catch (const Error& error) {
        // Whoever has the lock may be making it again.
        if (lock) TT_LOG(warning, "{}; its examples are tokenised again", error.what());
      }
    }
    if (lock) break;
    check_writable_folder(folder, 0);
    lock = FileLock::take(path + ".lock");
  }
  write(path, key, encode(recipe, examples));
  return open(path, key, examples.size());
}

}  // namespace trimtab
