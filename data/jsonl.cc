// SPDX-License-Identifier: Apache-2.0
#include "data/jsonl.h"

#include <fmt/format.h>

#include <set>

#include "runtime/check.h"

namespace trimtab {
namespace {

std::string print_value(const nlohmann::json& value, const std::string& place, const std::string& field) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_number()) return value.dump();
  fail("{}: field '{}' should be a string, a number or true/false, but is {}", place, field,
       value.type_name());
}

// Without the library's name for it and its own count of lines: "syntax error while parsing value - ...".
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t place = text.find(": ");
  return place == std::string::npos ? text : text.substr(place + 2);
}

}  // namespace

const nlohmann::json& JsonRow::at(const std::string& field) const {
  const auto found = fields_.find(field);
  if (found != fields_.end()) return *found;
  std::string known;
  for (const auto& item : fields_.items()) known += (known.empty() ? "" : ", ") + item.key();
  fail("{}: field '{}' is missing (the row has: {})", place_, field, known.empty() ? "no fields" : known);
}

std::string JsonRow::text(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_string())
    fail("{}: field '{}' should be a string, but is {}", place_, field, value.type_name());
  return value.get<std::string>();
}

std::string JsonRow::printed(const std::string& field) const { return print_value(at(field), place_, field); }

std::vector<std::string> JsonRow::texts(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_array()) return {print_value(value, place_, field)};
  if (value.empty()) fail("{}: field '{}' is an empty list", place_, field);
  std::vector<std::string> all;
  for (const auto& member : value) all.push_back(print_value(member, place_, field));
  return all;
}

JsonRow JsonRow::object(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_object())
    fail("{}: field '{}' should be an object, but is {}", place_, field, value.type_name());
  return {value, place_};
}

std::vector<JsonRow> JsonRow::objects(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_array()) fail("{}: field '{}' should be a list, but is {}", place_, field, value.type_name());
  std::vector<JsonRow> all;
  for (const auto& member : value) {
    if (!member.is_object())
      fail("{}: field '{}' should hold objects, but holds {}", place_, field, member.type_name());
    all.emplace_back(member, place_);
  }
  return all;
}

void for_each_json_row(const TextFile& file, const std::function<void(const JsonRow&)>& visit) {
  if (file.text.empty()) fail("{}: the file is empty", file.name);
  std::size_t rows = 0;
  for_each_line(file, [&](std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) return;
    std::set<std::string> names;
    const auto note = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
      if (depth == 1 && event == nlohmann::json::parse_event_t::key &&
          !names.insert(parsed.get<std::string>()).second)
        fail("{}:{}: the field '{}' is there twice", file.name, number, parsed.get<std::string>());
      return true;
    };
    nlohmann::json fields;
    try {
      fields = nlohmann::json::parse(line, note);
    } catch (const nlohmann::json::exception& error) {
      fail("{}:{}: no JSON: {}; a row is one object on one line", file.name, number, reason_of(error));
    }
    if (!fields.is_object())
      fail("{}:{}: should be a JSON object, but is {}", file.name, number, fields.type_name());
    visit(JsonRow(fields, fmt::format("{}:{}", file.name, number)));
    ++rows;
  });
  if (rows == 0) fail("{}: the file has no rows", file.name);
}

void for_each_json_row(const std::string& path, const std::function<void(const JsonRow&)>& visit) {
  for_each_json_row(read_text(path), visit);
}

nlohmann::json parse_json_document(const TextFile& file) {
  if (file.text.empty()) fail("{}: the file is empty", file.name);
  try {
    return nlohmann::json::parse(file.text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: no JSON: {}", file.name, error.what());
  }
}

void for_each_json_member(const TextFile& file, const std::function<void(const JsonRow&)>& visit) {
  // Keeps the order of the file, which nlohmann::json does not.
  if (file.text.empty()) fail("{}: the file is empty", file.name);
  nlohmann::ordered_json document;
  try {
    document = nlohmann::ordered_json::parse(file.text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: no JSON: {}", file.name, error.what());
  }
  if (!document.is_array() && !document.is_object())
    fail("{}: should be a list or an object of rows, but is {}", file.name, document.type_name());
  if (document.empty()) fail("{}: the file has no rows", file.name);
  std::size_t number = 0;
  for (const auto& member : document) {
    const std::string place = fmt::format("{}: row {}", file.name, ++number);
    if (!member.is_object()) fail("{}: should be a JSON object, but is {}", place, member.type_name());
    const nlohmann::json fields = member;
    visit(JsonRow(fields, place));
  }
}

}  // namespace trimtab
