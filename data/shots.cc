// SPDX-License-Identifier: Apache-2.0
#include "data/shots.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "data/input_template.h"
#include "data/labels.h"
#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

constexpr std::string_view kInput = "{input}", kTarget = "{target}";
// Of the streams of a seed that draw samples, steps have the low numbers.
constexpr std::uint64_t kShotsStep = ~std::uint64_t{0};

}  // namespace

std::vector<std::size_t> rows_of_shots(const std::vector<TextExample>& examples,
                                       const std::vector<std::string>& labels, std::int64_t count,
                                       std::uint64_t seed) {
  // A permutation of all, of which the first ones of each label are taken by turns.
  std::map<std::string, std::vector<std::size_t>> by_label;
  const RandomStream stream(seed, Purpose::kSample, kShotsStep);
  for (const std::uint32_t i : permutation(static_cast<std::uint32_t>(examples.size()), stream))
    if (is_labelled(examples[i])) by_label[labels.empty() ? "" : examples[i].target].push_back(i);
  std::vector<std::size_t> out;
  for (std::size_t turn = 0; static_cast<std::int64_t>(out.size()) < count; ++turn) {
    const std::size_t before = out.size();
    for (const auto& [label, indices] : by_label)
      if (turn < indices.size() && static_cast<std::int64_t>(out.size()) < count)
        out.push_back(indices[turn]);
    if (out.size() == before)
      fail_config("text.shots: {} examples are to be shown, but the training split has {}", count,
                  out.size());
  }
  std::vector<std::size_t> mixed;
  for (const std::uint32_t i : permutation(static_cast<std::uint32_t>(out.size()),
                                           RandomStream(seed, Purpose::kSample, kShotsStep, 1)))
    mixed.push_back(out[i]);
  return mixed;
}

std::vector<TextExample> drawn_shots(const std::vector<TextExample>& examples,
                                     const std::vector<std::string>& labels, std::int64_t count,
                                     std::uint64_t seed) {
  std::vector<TextExample> out;
  for (const std::size_t row : rows_of_shots(examples, labels, count, seed)) out.push_back(examples[row]);
  return out;
}

std::string text_of_shots(const std::vector<TextExample>& examples, const std::string& shot) {
  check_slots(shot, {"input", "target"}, "text.shot");
  const std::size_t input = find_slot(shot, kInput), target = find_slot(shot, kTarget);
  if (input == std::string::npos || target == std::string::npos || input > target)
    fail_config("text.shot: '{}' should hold {} and behind it {}", shot, kInput, kTarget);
  const std::string front = with_plain_braces(shot.substr(0, input)),
                    middle =
                        with_plain_braces(shot.substr(input + kInput.size(), target - input - kInput.size())),
                    back = with_plain_braces(shot.substr(target + kTarget.size()));
  std::string out;
  for (const TextExample& example : examples) out += front + example.input + middle + example.target + back;
  return out;
}

}  // namespace trimtab
