// SPDX-License-Identifier: Apache-2.0
#include "experiments/vocabulary_file.h"

#include <filesystem>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

std::string vocabulary_file(const std::string& named, const TokenizerFile& tokenizer,
                            const std::string& weights, const std::string& folder) {
  if (!named.empty()) {
    if (!std::filesystem::exists(named)) fail_config("model.vocabulary: {}: no such file", named);
    return named;
  }
  if (!tokenizer.path.empty()) return tokenizer.path;
  if (tokenizer.bytes.empty())
    fail_config(
        "model.vocabulary: neither named nor in or beside {}; set it to the vocabulary ({}) that the model "
        "was "
        "trained with",
        weights, tokenizer.name);
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/" + tokenizer.name;
  write_file_atomically(path, tokenizer.bytes);
  return path;
}

}  // namespace trimtab
