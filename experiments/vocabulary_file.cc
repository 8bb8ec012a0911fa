// SPDX-License-Identifier: Apache-2.0
#include "experiments/vocabulary_file.h"

#include <filesystem>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

std::string vocabulary_file(const std::string& named, const T5Files& files, const std::string& folder) {
  if (!named.empty()) {
    if (!std::filesystem::exists(named)) fail_config("model.vocabulary: {}: no such file", named);
    return named;
  }
  if (!files.tokenizer_path.empty()) return files.tokenizer_path;
  if (files.tokenizer_model.empty())
    fail_config(
        "model.vocabulary: neither named nor in or beside {}; set it to the SentencePiece model "
        "(spiece.model) that the "
        "model was trained with",
        files.weights->path());
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/spiece.model";
  write_file_atomically(path, files.tokenizer_model);
  return path;
}

}  // namespace trimtab
