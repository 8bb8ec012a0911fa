// SPDX-License-Identifier: Apache-2.0
#include "data/input_template.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "runtime/check.h"
#include "runtime/nearest.h"

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
  const std::size_t begin = find_slot(text, kPrompt, from);
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
  const std::size_t first = find_slot(text, slot);
  if (first != kNone && find_slot(text, slot, first + 1) != kNone)
    fail_config("the template '{}' should contain {} once", text, slot);
}

// Of text that stays as it is; nothing in `shots` is a slot.
std::string with_shots(const std::string& text, const std::string& shots) {
  const std::size_t place = find_slot(text, kShots);
  if (place == kNone) return with_plain_braces(text);
  return with_plain_braces(text.substr(0, place)) + shots +
         with_plain_braces(text.substr(place + kShots.size()));
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_of_name(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

}  // namespace

std::size_t find_slot(const std::string& text, std::string_view slot, std::size_t from) {
  for (std::size_t place = text.find(slot, from); place != kNone; place = text.find(slot, place + 1)) {
    std::size_t braces = 0;
    while (braces < place && text[place - 1 - braces] == '{') ++braces;
    if (braces % 2 == 0) return place;
  }
  return kNone;
}

void check_slots(const std::string& text, const std::vector<std::string>& known, std::string_view what) {
  for (std::size_t brace = find_slot(text, "{"); brace != kNone; brace = find_slot(text, "{", brace + 1)) {
    std::size_t end = brace + 1;
    while (end < text.size() && is_of_name(text[end])) ++end;
    const std::string name = text.substr(brace + 1, end - brace - 1);
    if (end == text.size() || text[end] != '}' || name.empty() || !is_letter(name.front())) continue;
    if (std::ranges::find(known, name) != known.end()) continue;
    fail_config(
        "{} '{}': {{{}}} stands for nothing{}; known: {{{}}}; braces that are text are written as in "
        "'{{{{{}}}'",
        what, text, name, did_you_mean(name, known), fmt::join(known, "}, {"), name);
  }
}

std::string with_plain_braces(std::string text) {
  for (std::size_t place = text.find("{{"); place != kNone; place = text.find("{{", place + 1))
    text.erase(place, 1);
  return text;
}

InputTemplate::InputTemplate(const std::string& text, const std::string& shots) {
  check_slots(text, {"input", "prompt", "shots"}, "the template");
  if (find_slot(text, kInput) == kNone) fail_config("the template '{}' should contain {} once", text, kInput);
  check_once(text, kInput);
  check_once(text, kShots);
  const bool shows = find_slot(text, kShots) != kNone;
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
    const std::size_t slot = find_slot(segments_[i], kInput);
    if (slot == kNone) {
      segments_[i] = with_shots(segments_[i], shots);
      continue;
    }
    input_segment_ = i;
    front_ = with_shots(segments_[i].substr(0, slot), shots);
    back_ = with_shots(segments_[i].substr(slot + kInput.size()), shots);
  }
  for (Place& place : places_) place.behind_input = place.segment > input_segment_;
}

std::string nested_template(const std::string& outer, const std::string& inner) {
  std::string out = outer;
  if (const std::size_t place = find_slot(out, kInput); place != kNone)
    out.replace(place, kInput.size(), inner);
  return out;
}

}  // namespace trimtab
