// SPDX-License-Identifier: Apache-2.0
#include "models/methods/prompt_lanes.h"

#include <algorithm>
#include <utility>

#include "runtime/check.h"

namespace trimtab {
namespace {

class PromptLanes final : public TuningMethod, private InputAdapter {
 public:
  explicit PromptLanes(std::vector<LanePrompt> prompts) : prompts_(std::move(prompts)) {
    TT_CHECK(!prompts_.empty(), "lanes without a prompt");
    for (const LanePrompt& prompt : prompts_) positions_.push_back(prompt.rows_pd.size(0));
  }

  Parameters attach(ModelStage& stage, const MethodContext& context) override {
    places_ = context.places;
    for (LanePrompt& prompt : prompts_) {
      if (prompt.rows_pd.size(1) != stage.width())
        fail_config("{}: is a prompt of width {}, but the model has {}", prompt.name, prompt.rows_pd.size(1),
                    stage.width());
      // Every stage knows how long they are, the first one alone has their rows.
      prompt.rows_pd = stage.embeds_input() ? prompt.rows_pd.to(stage.device()) : at::Tensor();
    }
    stage.attach_input(this);
    return {};
  }

  bool set_enabled(ModelStage& stage, bool enabled) override {
    stage.attach_input(enabled ? this : nullptr);
    return true;
  }

  std::int64_t extra_positions() const override { return *std::ranges::max_element(positions_); }
  std::vector<std::int64_t> lane_positions() const override { return positions_; }
  bool trains() const override { return false; }

 private:
  std::vector<PromptPlace> places() const override { return places_; }
  std::int64_t positions(std::int32_t lane) const override {
    return positions_.at(static_cast<std::size_t>(lane));
  }
  at::Tensor rows(std::int32_t lane) const override {
    return prompts_.at(static_cast<std::size_t>(lane)).rows_pd;
  }

  std::vector<LanePrompt> prompts_;
  std::vector<PromptPlace> places_;
  std::vector<std::int64_t> positions_;
};

}  // namespace

std::unique_ptr<TuningMethod> make_prompt_lanes(std::vector<LanePrompt> prompts) {
  return std::make_unique<PromptLanes>(std::move(prompts));
}

}  // namespace trimtab
