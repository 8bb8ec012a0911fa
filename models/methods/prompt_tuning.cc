// SPDX-License-Identifier: Apache-2.0
#include "models/methods/prompt_tuning.h"

#include "runtime/check.h"

namespace trimtab {
namespace {

class PromptTuning final : public TuningMethod, private InputAdapter {
 public:
  explicit PromptTuning(Subtree& subtree) {
    read(subtree, options_);
    if (options_.init_range.size() != 2 || options_.init_range[0] >= options_.init_range[1])
      subtree.refuse("init_range", "expected two numbers, the lower one first");
    if (options_.init == "file" && options_.init_file.empty())
      subtree.refuse("init_file", "init: file needs the path of a prompt");
    if (options_.init == "text" && options_.init_text.empty())
      subtree.refuse("init_text", "init: text needs a text");
  }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    // Every stage needs to know how long it is, the first one has its rows.
    places_ = context.places;
    stage.attach_input(this);
    if (!stage.embeds_input()) return {};
    prompt_ = initial_prompt(options_, stage, context).to(stage.device()).set_requires_grad(true);
    return {{"prompt", prompt_}};
  }

  bool set_enabled(ModelStage& stage, bool enabled) override {
    stage.attach_input(enabled ? this : nullptr);
    return true;
  }

  std::int64_t extra_positions() const override { return options_.length; }
  double suggested_learning_rate() const override { return 0.3; }

 private:
  std::vector<PromptPlace> places() const override { return places_; }
  std::int64_t positions(std::int32_t) const override { return options_.length; }
  at::Tensor rows(std::int32_t) const override { return prompt_; }

  PromptTuningOptions options_;
  std::vector<PromptPlace> places_;
  at::Tensor prompt_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_prompt_tuning(Subtree& options) {
  return std::make_unique<PromptTuning>(options);
}

}  // namespace trimtab
