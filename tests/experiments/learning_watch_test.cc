// SPDX-License-Identifier: Apache-2.0
#include "experiments/learning_watch.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What is said in 600 steps whose losses are loss_of(step).
template <class Loss>
std::vector<std::string> said(LearningWatch watch, Loss loss_of, std::int64_t first = 1) {
  std::vector<std::string> out;
  for (std::int64_t step = first; step <= 600; ++step)
    if (std::string text = watch.after(step, loss_of(step)); !text.empty()) out.push_back(std::move(text));
  return out;
}

double falling(std::int64_t step) { return 3.0 - 0.001 * static_cast<double>(step); }

TEST(LearningWatch, IsSilentWhileALossFalls) {
  EXPECT_THAT(said({[] { return 0.5; }, 0.3}, falling), IsEmpty());
  EXPECT_THAT(said({{}, 0.3}, falling), IsEmpty()) << "nobody measures how far it moved";
}

TEST(LearningWatch, ALossThatDoesNotFallIsSaidOnce) {
  const auto noise = [](std::int64_t step) { return step % 2 == 0 ? 2.0 : 3.0; };
  EXPECT_THAT(said({{}, 0.3}, noise),
              ElementsAre("warning: the loss is not falling: 2.5000 in the first 100 steps, 2.5000 now"));
  EXPECT_THAT(said({{}, 0.3}, noise, 2), IsEmpty()) << "of a part of a run nothing is known";
}

TEST(LearningWatch, ValuesThatHardlyMoveAreSaidOnce) {
  int asked = 0;
  const auto moved = [&] { return ++asked, 0.0005; };
  EXPECT_THAT(
      said({moved, 0.3}, falling),
      ElementsAre(HasSubstr("after 100 steps the trained values have moved by 0.0005 of their size")));
  EXPECT_EQ(asked, 1) << "ranks are asked together";
}

}  // namespace
}  // namespace trimtab
