// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/vocabulary_trainer.h"

#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "data/text_file.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Hands every k-th line to SentencePiece, so that at most max_lines are used and none is chosen at random.
class LineFeed final : public sentencepiece::SentenceIterator {
 public:
  LineFeed(std::vector<std::string> lines, std::size_t step) : lines_(std::move(lines)), step_(step) {}

  bool done() const override { return at_ >= lines_.size(); }
  void Next() override { at_ += step_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> lines_;
  std::size_t step_;
  std::size_t at_ = 0;
};

std::vector<std::string> read_lines(const std::vector<std::string>& paths) {
  std::vector<std::string> lines;
  for (const std::string& path : paths)
    for (const TextFile& file : read_texts(path))
      for_each_line(file, [&](std::string_view line, std::size_t) {
        if (line.find_first_not_of(" \t\f") != std::string_view::npos) lines.emplace_back(line);
      });
  return lines;
}

}  // namespace

void train_vocabulary(const VocabularyOptions& options) {
  if (options.files.empty()) fail_config("vocabulary: no text files are given");
  if (options.size < 4) fail_config("vocabulary: size should be 4 or more, but is {}", options.size);
  if (options.max_lines < 1)
    fail_config("vocabulary: max_lines should be 1 or more, but is {}", options.max_lines);
  if (options.out.empty()) fail_config("vocabulary: the name of the model file to write is missing");
  std::vector<std::string> lines = read_lines(options.files);
  if (lines.empty()) fail("{}: the file has no text to learn a vocabulary from", options.files.front());
  const auto most = static_cast<std::size_t>(options.max_lines);
  const std::size_t step = (lines.size() + most - 1) / most;
  LineFeed feed(std::move(lines), step);
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", "unigram"},
      {"vocab_size", std::to_string(options.size)},
      {"pad_id", "0"},
      {"eos_id", "1"},
      {"unk_id", "2"},
      {"bos_id", "-1"},
      {"byte_fallback", "false"},
      {"normalization_rule_name", "nmt_nfkc"},
      {"num_threads", "1"},
      {"max_sentence_length", "16777216"},  // bytes; longer lines would be dropped
      {"minloglevel", "2"}};
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &feed, &model);
  if (!status.ok())
    fail("{}: no vocabulary of {} pieces can be learnt from {} file(s): {}", options.out, options.size,
         options.files.size(), status.ToString());
  write_file_atomically(options.out, model);
}

}  // namespace trimtab
