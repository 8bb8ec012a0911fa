// SPDX-License-Identifier: Apache-2.0
#include "runtime/nearest.h"

#include <gmock/gmock.h>

#include <functional>

#include "runtime/check.h"
#include "runtime/registry.h"

namespace trimtab {
namespace {

using testing::ElementsAre;

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(EditDistance, CountsEachKindOfSlipOnce) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("batch", "batch"), 0u);
  EXPECT_EQ(edit_distance("batch", "bacth"), 1u);
  EXPECT_EQ(edit_distance("batch", "batches"), 2u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("Micro-Batch", "micro_batch"), 0u);
}

TEST(Nearest, NamesTheOneThatWasMeant) {
  const std::vector<std::string> known{"steps", "batch", "micro_batch_tokens", "seed"};
  EXPECT_EQ(nearest("step", known), "steps");
  EXPECT_EQ(nearest("micro_batch_token", known), "micro_batch_tokens");
  EXPECT_EQ(nearest("micro", known), "micro_batch_tokens");
  EXPECT_EQ(did_you_mean("bacth", known), "; did you mean 'batch'?");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("temperature", {"steps", "batch"}), "");
  EXPECT_EQ(nearest("anything", {}), "");
  EXPECT_EQ(nearest("s", {"steps", "seed"}), "");
  EXPECT_EQ(nearest("max", {"max_input", "max_target"}), "") << "two begin with it: no guess";
  EXPECT_EQ(did_you_mean("temperature", {"steps"}), "");
}

TEST(Registry, FindsAndListsInOrder) {
  const Registry<int> methods("tuning method", {{"prompt_tuning", 1}, {"prefix_tuning", 2}, {"lora", 3}});
  EXPECT_EQ(methods.find("lora"), 3);
  EXPECT_TRUE(methods.has("prefix_tuning"));
  EXPECT_FALSE(methods.has("adapter"));
  EXPECT_THAT(methods.names(), ElementsAre("prompt_tuning", "prefix_tuning", "lora"));
}

TEST(Registry, SaysWhatIsKnown) {
  const Registry<int> methods("tuning method", {{"prompt_tuning", 1}, {"lora", 3}});
  EXPECT_EQ(message_of([&] { methods.find("promt_tuning"); }),
            "unknown tuning method 'promt_tuning'; did you mean 'prompt_tuning'? known: prompt_tuning, lora");
  EXPECT_EQ(message_of([&] { methods.find("adapter", "run.yaml:4: method.name"); }),
            "run.yaml:4: method.name: unknown tuning method 'adapter'; known: prompt_tuning, lora");
}

TEST(Registry, RefusesTheSameNameTwice) {
  EXPECT_THROW(Registry<int>("method", {{"lora", 1}, {"lora", 2}}), Error);
}

}  // namespace
}  // namespace trimtab
