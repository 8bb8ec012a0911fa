// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include "launch/guard.h"
#include "launch/verbs.h"
#include "models/family.h"

namespace trimtab {
namespace {

struct Options {
  std::string source, out, dtype = "float32";
};

}  // namespace

Verb add_import(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("import", "Turn a Hugging Face model into one .h5, vocabulary inside");
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
            open_model(options->source)->save(options->out, type);
            const auto model = open_model(options->out);
            std::printf("%s: %lld parameters in %s, %s\n", options->out.c_str(),
                        static_cast<long long>(model->parameter_count()), options->dtype.c_str(),
                        model->tokenizer().bytes.empty() ? "no vocabulary" : "vocabulary inside");
            return static_cast<int>(kSuccess);
          }};
}

}  // namespace trimtab
