// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/json_value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/check.h"

namespace trimtab {

using nlohmann::json;

bool JsonValue::is_text() const { return json_->is_string(); }
bool JsonValue::is_null() const { return json_->is_null(); }
bool JsonValue::is_list() const { return json_->is_array(); }

bool JsonValue::has(const char* member) const { return !at(member).is_null(); }

JsonValue JsonValue::at(const char* member) const {
  static const json null;
  if (!json_->is_object()) fail_type("an object");
  const auto found = json_->find(member);
  return {found == json_->end() ? null : *found, file_, place_.empty() ? member : place_ + "." + member};
}

const std::string& JsonValue::text() const {
  const auto* text = json_->get_ptr<const std::string*>();
  if (text == nullptr) fail_type("text");
  return *text;
}

bool JsonValue::flag() const {
  const auto* flag = json_->get_ptr<const bool*>();
  if (flag == nullptr) fail_type("true or false");
  return *flag;
}

std::int64_t JsonValue::number() const {
  if (!json_->is_number_integer()) fail_type("a whole number");
  const auto* large = json_->get_ptr<const std::uint64_t*>();
  return large == nullptr ? json_->get<std::int64_t>()
                          : static_cast<std::int64_t>(std::min<std::uint64_t>(*large, INT64_MAX));
}

std::vector<JsonValue> JsonValue::list() const {
  if (!json_->is_array()) fail_type("a list");
  std::vector<JsonValue> values;
  values.reserve(json_->size());
  for (const json& value : *json_)
    values.emplace_back(value, file_, fmt::format("{}.{}", place_, values.size()));
  return values;
}

void JsonValue::for_each_member(
    const std::function<void(const std::string& name, const JsonValue& value)>& visit) const {
  if (!json_->is_object()) fail_type("an object");
  for (const auto& [name, value] : json_->items()) visit(name, {value, file_, place_ + "." + name});
}

std::string JsonValue::place() const { return place_.empty() ? file_ : file_ + ": " + place_; }

void JsonValue::fail_type(std::string_view wanted) const {
  if (is_null()) fail("{} is missing; it should be {}", place(), wanted);
  fail("{} should be {}, but is {}", place(), wanted, json_->type_name());
}

}  // namespace trimtab
