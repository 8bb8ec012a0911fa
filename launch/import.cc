// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "experiments/adapter_exchange.h"
#include "experiments/model_import.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/verbs.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source, dtype, weights, vocabulary, base;
  OutputArgument out;
};

// PEFT saves several adapters of one model in folders of their own.
std::string adapters_in(const std::string& folder) {
  if (!fs::is_directory(folder)) return "";
  std::string found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_adapter(entry.path().string())) found += (found.empty() ? "" : ", ") + entry.path().string();
  return found.empty() ? "" : " (name one of the adapters in it: " + found + ")";
}

int import_base(const Options& options) {
  if (!fs::exists(options.source)) fail_config("{}: no such file or folder", options.source);
  if (!options.weights.empty() || !options.vocabulary.empty() || !options.base.empty())
    fail_config(
        "{}: is no adapter, since it has no adapter_config.json{}; only adapters take --weights, "
        "--vocabulary "
        "and --base",
        options.source, adapters_in(options.source));
  const DType type = options.dtype == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
  const ImportedModel model = import_model(options.source, options.out.path, type);
  std::printf("%s: %lld parameters in %s, %s\n", options.out.path.c_str(),
              static_cast<long long>(model.parameters), std::string(name_of(type)).c_str(),
              model.has_vocabulary ? "vocabulary inside" : "no vocabulary");
  if (!model.vocabulary_fault.empty())
    std::printf("note: its vocabulary cannot be used: %s; a run needs another in model.vocabulary\n",
                model.vocabulary_fault.c_str());
  return kSuccess;
}

int import_what_was_trained(const Options& options) {
  if (options.weights.empty())
    fail_config("{}: is an adapter or a prompt; name the model that it belongs to with --weights",
                options.source);
  if (!options.dtype.empty()) fail_config("--dtype: is for models; what is trained is float32");
  const ImportedAdapter adapter =
      import_adapter({options.source, options.out.path, options.weights, options.vocabulary, options.base});
  std::printf("%s: for trimtab evaluate and predict --checkpoint, with an experiment of\n%s",
              options.out.path.c_str(), adapter.method.c_str());
  for (const std::string& note : adapter.notes) std::printf("note: %s\n", note.c_str());
  return kSuccess;
}

}  // namespace

Verb add_import(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "import", "Turn a model of others into one .h5, or a PEFT adapter or prompt into a checkpoint");
  app->footer(
      "Example:\n  trimtab import downloads/t5-small-lm-adapt models/t5-small-lm-adapt.h5 --dtype bfloat16\n"
      "  trimtab import rte-adapter runs/rte.h5 --weights models/t5-small-lm-adapt.h5");
  const auto options = std::make_shared<Options>();
  app->add_option(
         "source", options->source,
         "Folder with config.json, safetensors and vocabulary, a GGUF, a T5X checkpoint or an .h5 of ours; a "
         "PEFT adapter's folder; a prompt as .npy")
      ->required();
  add_output_argument(*app, options->out, "out", "The .h5 to write")->required();
  app->add_option("--dtype", options->dtype, "Of a model: type of the weights in it (default float32)")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  app->add_option("--weights", options->weights, "The model that an adapter or prompt belongs to");
  app->add_option("--vocabulary", options->vocabulary, "Its vocabulary; default: the one with the weights");
  app->add_option("--base", options->base,
                  "What the adapter calls its model, to say that it is the one of --weights");
  return {app, [options] {
            require_one_process("import");
            options->out.check();
            return is_adapter(options->source) ? import_what_was_trained(*options) : import_base(*options);
          }};
}

}  // namespace trimtab
