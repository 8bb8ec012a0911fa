// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include "launch/guard.h"
#include "launch/verbs.h"
#include "models/t5/t5_files.h"

namespace trimtab {
namespace {

struct Options {
  std::string source, out, dtype = "float32";
};

}  // namespace

Verb add_import(CLI::App& program) {
  CLI::App* app = program.add_subcommand("import", "Turn a Hugging Face T5 into one .h5, vocabulary inside");
  app->footer(
      "Example:\n  trimtab import downloads/t5-small-lm-adapt models/t5-small-lm-adapt.h5 --dtype bfloat16");
  const auto options = std::make_shared<Options>();
  app->add_option("source", options->source,
                  "Folder with config.json, safetensors and spiece.model; or an .h5 of ours")
      ->required();
  app->add_option("out", options->out, "The .h5 to write")->required();
  app->add_option("--dtype", options->dtype, "Type of the weights in it")
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  return {app, [options] {
            const DType type = options->dtype == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
            import_t5(options->source, options->out, type);
            const T5Files files = open_t5(options->out);
            std::printf("%s: %lld parameters in %s, %s\n", options->out.c_str(),
                        static_cast<long long>(parameter_count(files.config)), options->dtype.c_str(),
                        files.tokenizer_model.empty() ? "no vocabulary" : "vocabulary inside");
            return static_cast<int>(kSuccess);
          }};
}

}  // namespace trimtab
