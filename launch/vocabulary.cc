// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "data/tokenizers/t5_tokenizer.h"
#include "data/tokenizers/vocabulary_trainer.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/verbs.h"

namespace trimtab {

Verb add_vocabulary(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("vocabulary", "Train a SentencePiece vocabulary as T5's from text files");
  app->footer("Example:\n  trimtab vocabulary --out runs/spiece.model --size 8000 speeches.zip novels/*.txt");
  const auto options = std::make_shared<VocabularyOptions>();
  app->add_option("files", options->files, "Text: plain, gzip or zip")->required();
  app->add_option("--out", options->out, "The model file to write")->required();
  app->add_option("--size", options->size, "Pieces, without sentinels")
      ->check(at_least(4))
      ->capture_default_str();
  app->add_option("--max-lines", options->max_lines, "Of longer input every k-th line is used")
      ->check(at_least(1))
      ->capture_default_str();
  return {app, [options] {
            train_vocabulary(*options);
            const T5Tokenizer tokenizer(options->out);
            std::printf("%s: %d pieces and %d sentinels\n", options->out.c_str(), tokenizer.pieces(),
                        tokenizer.extra_ids());
            return static_cast<int>(kSuccess);
          }};
}

}  // namespace trimtab
