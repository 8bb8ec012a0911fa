// SPDX-License-Identifier: Apache-2.0
#include "models/methods/hard_prompt.h"

namespace trimtab {
namespace {

class HardPrompt final : public TuningMethod {
 public:
  explicit HardPrompt(std::string text) : text_(std::move(text)) {}

  Parameters attach(ModelStage&, const MethodContext&) override { return {}; }
  bool set_enabled(ModelStage&, bool) override { return false; }
  std::string input_template() const override { return text_; }
  bool trains() const override { return false; }

 private:
  std::string text_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_hard_prompt(Subtree& subtree) {
  const auto options = read<HardPromptOptions>(subtree);
  if (options.text.find("{input}") == std::string::npos)
    subtree.refuse("text",
                   "expected {input} where the task's input goes; without it every input reads the same");
  return std::make_unique<HardPrompt>(options.text);
}

std::unique_ptr<TuningMethod> make_zero_shot(Subtree& subtree) {
  read<ZeroShotOptions>(subtree);
  return std::make_unique<HardPrompt>("{input}");
}

}  // namespace trimtab
