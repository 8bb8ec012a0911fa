// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include "experiments/prompt_file.h"
#include "launch/guard.h"
#include "launch/verbs.h"
#include "models/family.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string source, out;
};

int run(const Options& options) {
  if (!is_checkpoint(options.source)) {
    open_model(options.source)->export_hf(options.out);
    std::printf("%s: a Hugging Face model\n", options.out.c_str());
    return kSuccess;
  }
  const auto prompts = read_prompts(options.source);
  if (prompts.size() != 1)
    fail_config("{}: holds {} trained tensors, so it is no prompt; only prompts are exported", options.source,
                prompts.size());
  write_prompt(prompts.front(), options.out);
  std::printf("%s: %lld positions of width %lld\n", options.out.c_str(),
              static_cast<long long>(prompts.front().shape[0]),
              static_cast<long long>(prompts.front().shape[1]));
  return kSuccess;
}

}  // namespace

Verb add_export(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("export", "Turn a trained prompt or a model into what other programs read");
  app->footer(
      "Example:\n  trimtab export runs/rte/best.h5 prompt.npy           (the reference implementation's "
      "form)\n"
      "  trimtab export runs/rte/best.h5 adapter_model.safetensors     (PEFT's form)\n"
      "  trimtab export models/t5-small.h5 t5-small-hf                 (a folder of Hugging Face's form)");
  const auto options = std::make_shared<Options>();
  app->add_option("source", options->source, "A checkpoint of a run, or a model's .h5")->required();
  app->add_option("out", options->out, "The file or folder to write")->required();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
