// SPDX-License-Identifier: Apache-2.0
#include "models/methods/prompt_tuning.h"

#include "runtime/check.h"

namespace trimtab {
namespace {

// Rows in front of one of a model's inputs.
struct TrainedRows final : InputAdapter {
  std::vector<PromptPlace> places() const override { return where; }
  std::int64_t positions(std::int32_t) const override { return length; }
  at::Tensor rows(std::int32_t) const override { return values; }

  std::int64_t length = 0;
  std::vector<PromptPlace> where = {{}};
  at::Tensor values;  // [length, d_model], on the stage that embeds this input
};

class PromptTuning final : public TuningMethod {
 public:
  explicit PromptTuning(Subtree& subtree) {
    read(subtree, options_);
    if (options_.init_range.size() != 2 || options_.init_range[0] >= options_.init_range[1])
      subtree.refuse("init_range", "expected two numbers, the lower one first");
    if (options_.init == "file" && options_.init_file.empty())
      subtree.refuse("init_file", "init: file needs the path of a prompt");
    if (options_.init == "text" && options_.init_text.empty())
      subtree.refuse("init_text", "init: text needs a text");
    input_.length = options_.length;
    decoder_.length = options_.decoder_length;
  }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    input_.where = context.places;
    set_enabled(stage, true);
    Parameters parameters;
    if (stage.embeds_input())
      add(parameters, "prompt", input_, initial_prompt(options_, stage, context), stage);
    if (decoder_.length > 0 && stage.embeds_decoder_input())
      add(parameters, "decoder_prompt", decoder_, initial_decoder_prompt(options_, stage, context), stage);
    return parameters;
  }

  // Every stage needs to know how long the rows are, one of them has them.
  bool set_enabled(ModelStage& stage, bool enabled) override {
    stage.attach_input(enabled ? &input_ : nullptr);
    if (decoder_.length > 0)
      TT_CHECK(stage.attach_decoder_input(enabled ? &decoder_ : nullptr), "a model without an encoder");
    return true;
  }

  std::int64_t extra_positions() const override { return options_.length; }
  std::int64_t decoder_positions() const override { return options_.decoder_length; }
  double suggested_learning_rate() const override { return 0.3; }

 private:
  static void add(Parameters& parameters, const std::string& name, TrainedRows& rows,
                  const at::Tensor& initial, const ModelStage& stage) {
    rows.values = initial.to(stage.device()).set_requires_grad(true);
    parameters.push_back({name, rows.values});
  }

  PromptTuningOptions options_;
  TrainedRows input_, decoder_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_prompt_tuning(Subtree& options) {
  return std::make_unique<PromptTuning>(options);
}

}  // namespace trimtab
