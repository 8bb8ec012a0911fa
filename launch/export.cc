// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include "experiments/adapter_exchange.h"
#include "experiments/merged_model.h"
#include "experiments/prompt_file.h"
#include "experiments/same_use.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/verbs.h"
#include "models/family.h"
#include "models/formats/peft_adapter.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string source, weights, base;
  OutputArgument out;
  bool merge = false;
};

// The reference implementation's prompts are NumPy arrays; ".prompt" ends their names in its checkpoints.
bool is_one_file(const std::string& out) {
  return out.ends_with(".npy") || out.ends_with(".prompt") || out.ends_with(".safetensors");
}

int run(const Options& options) {
  require_one_process("export");
  options.out.check();
  if (!is_checkpoint(options.source)) {
    if (options.merge)
      fail_config("{}: is no checkpoint of a run, so there is nothing to merge", options.source);
    open_model(options.source)->export_hf(options.out.path);
    std::printf("%s: a Hugging Face model\n", options.out.path.c_str());
    return kSuccess;
  }
  if (options.merge) {
    std::printf("%s\n", merge_trained({options.source, options.out.path, options.weights}).c_str());
    return kSuccess;
  }
  if (!is_one_file(options.out.path)) {
    std::printf("%s\n",
                export_adapter({options.source, options.out.path, options.weights, options.base}).c_str());
    return kSuccess;
  }
  const auto prompts = read_prompts(options.source);
  if (read_decoder_prompt_rows(options.source))
    fail_config(
        "{}: has rows in front of the decoder's input as well (method.decoder_length), for which "
        "others have no form",
        options.source);
  if (prompts.size() != 1)
    fail_config("{}: holds {} trained tensors, so it is no prompt; name a folder to get a PEFT adapter",
                options.source, prompts.size());
  check_in_front(Checkpoint(options.source), "readers of a bare prompt put it");
  write_prompt(prompts.front(), options.out.path);
  std::printf("%s: %lld positions of width %lld\n", options.out.path.c_str(),
              static_cast<long long>(prompts.front().shape[0]),
              static_cast<long long>(prompts.front().shape[1]));
  return kSuccess;
}

}  // namespace

Verb add_export(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("export", "Turn a trained prompt or a model into what other programs read");
  app->footer(
      "Example:\n  trimtab export runs/rte/best.h5 rte-adapter --base google/t5-small-lm-adapt   (for PEFT)\n"
      "  trimtab export runs/rte/best.h5 prompt.npy       (the reference implementation's form)\n"
      "  trimtab export runs/lora/best.h5 tuned.h5 --merge (a model of its own: LoRA, IA3, tuned weights)\n"
      "  trimtab export models/t5-small.h5 t5-small-hf    (a folder of Hugging Face's form)\n"
      "Of a prompt, names that end in .npy, .prompt or .safetensors are one file without config.");
  const auto options = std::make_shared<Options>();
  app->add_option("source", options->source, "A checkpoint of a run, or a model's .h5")->required();
  add_output_argument(*app, options->out, "out", "The file or folder to write")->required();
  app->add_option("--weights", options->weights,
                  "The model that an adapter belongs to; default: where it was when it was trained");
  app->add_option(
      "--base", options->base,
      "What the adapter is to call that model: a name on the hub, or a folder; default: --weights");
  app->add_flag("--merge", options->merge,
                "Write the whole model with what was trained in its weights: an .h5, or a folder");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
