// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "data/tokenizers/t5_tokenizer.h"
#include "data/tokenizers/vocabulary_trainer.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/verbs.h"

namespace trimtab {
namespace {

struct Options {
  VocabularyOptions vocabulary;
  OutputArgument out;
};

int run(const Options& options) {
  require_one_process("vocabulary");
  options.out.check();
  VocabularyOptions vocabulary = options.vocabulary;
  vocabulary.out = options.out.path;
  train_vocabulary(vocabulary);
  const T5Tokenizer tokenizer(vocabulary.out);
  std::printf("%s: %d pieces and %d sentinels\n", vocabulary.out.c_str(), tokenizer.pieces(),
              tokenizer.extra_ids());
  return kSuccess;
}

}  // namespace

Verb add_vocabulary(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("vocabulary", "Train a SentencePiece vocabulary as T5's from text files");
  app->footer("Example:\n  trimtab vocabulary --out runs/spiece.model --size 8000 speeches.zip novels/*.txt");
  const auto options = std::make_shared<Options>();
  VocabularyOptions& vocabulary = options->vocabulary;
  app->add_option("files", vocabulary.files, "Text: plain, gzip or zip")->required();
  add_output_argument(*app, options->out, "--out", "The model file to write")->required();
  app->add_option("--size", vocabulary.size, "Pieces, without sentinels")
      ->check(at_least(4))
      ->capture_default_str();
  app->add_option("--max-lines", vocabulary.max_lines, "Of longer input every k-th line is used")
      ->check(at_least(1))
      ->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
