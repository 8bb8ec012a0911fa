// SPDX-License-Identifier: Apache-2.0
#include "data/input_template.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kInput = "{input}", kShots = "{shots}", kPrompt = "{prompt";
constexpr std::size_t kNone = std::string::npos;

// The places "{prompt}" and "{prompt:N}" of `text`; [begin, end) of the first one from `from` on.
struct Found {
  std::size_t begin = kNone, end = kNone;
  std::optional<int> positions;
};

Found find_place(const std::string& text, std::size_t from) {
  const std::size_t begin = text.find(kPrompt, from);
  if (begin == kNone) return {};
  const std::size_t behind = begin + kPrompt.size();
  if (text.compare(behind, 1, "}") == 0) return {begin, behind + 1, std::nullopt};
  const std::size_t end = text.find('}', behind);
  int positions = 0;
  if (end != kNone && text[behind] == ':') {
    const char* last = text.data() + end;
    const auto [stop, error] = std::from_chars(text.data() + behind + 1, last, positions);
    if (error == std::errc() && stop == last && positions > 0) return {begin, end + 1, positions};
  }
  fail_config(
      "the template '{}' should say '{{prompt}}' or, with a number of positions from 1 on, '{{prompt:10}}'",
      text);
}

void check_once(const std::string& text, std::string_view slot) {
  const std::size_t first = text.find(slot);
  if (first != kNone && text.find(slot, first + 1) != kNone)
    fail_config("the template '{}' should contain {} once", text, slot);
}

void replace_first(std::string& text, std::string_view slot, const std::string& by) {
  if (const std::size_t place = text.find(slot); place != kNone) text.replace(place, slot.size(), by);
}

}  // namespace

InputTemplate::InputTemplate(const std::string& text, const std::string& shots) {
  if (text.find(kInput) == kNone) fail_config("the template '{}' should contain {} once", text, kInput);
  check_once(text, kInput);
  check_once(text, kShots);
  const bool shows = text.find(kShots) != kNone;
  if (shows && shots.empty())
    fail_config("the template '{}' has a place for examples, but none are shown: set text.shots", text);
  if (!shows && !shots.empty())
    fail_config("the template '{}' has no place for the examples of text.shots: put {{shots}} into it", text);
  std::size_t begin = 0;
  for (Found found = find_place(text, 0);; found = find_place(text, begin)) {
    const std::size_t end = std::min(found.begin, text.size());
    if (end > begin) segments_.push_back(text.substr(begin, end - begin));
    if (found.begin == kNone) break;
    places_.push_back({found.positions, false, segments_.size()});
    begin = found.end;
  }
  last_ = text.back();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const std::size_t slot = segments_[i].find(kInput);
    if (slot == kNone) {
      replace_first(segments_[i], kShots, shots);
      continue;
    }
    input_segment_ = i;
    front_ = segments_[i].substr(0, slot);
    back_ = segments_[i].substr(slot + kInput.size());
    replace_first(front_, kShots, shots);
    replace_first(back_, kShots, shots);
  }
  for (Place& place : places_) place.behind_input = place.segment > input_segment_;
}

std::string nested_template(const std::string& outer, const std::string& inner) {
  std::string out = outer;
  replace_first(out, kInput, inner);
  return out;
}

}  // namespace trimtab
