// SPDX-License-Identifier: Apache-2.0
#include "data/jsonl.h"

#include <fmt/format.h>

#include "data/text_file.h"
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

}  // namespace

std::string JsonRow::place() const { return fmt::format("{}:{}", path_, line_); }

const nlohmann::json& JsonRow::at(const std::string& field) const {
  const auto found = fields_.find(field);
  if (found != fields_.end()) return *found;
  std::string known;
  for (const auto& item : fields_.items()) known += (known.empty() ? "" : ", ") + item.key();
  fail("{}: field '{}' is missing (the row has: {})", place(), field, known.empty() ? "no fields" : known);
}

std::string JsonRow::text(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_string())
    fail("{}: field '{}' should be a string, but is {}", place(), field, value.type_name());
  return value.get<std::string>();
}

std::string JsonRow::printed(const std::string& field) const {
  return print_value(at(field), place(), field);
}

std::vector<std::string> JsonRow::texts(const std::string& field) const {
  const nlohmann::json& value = at(field);
  if (!value.is_array()) return {print_value(value, place(), field)};
  if (value.empty()) fail("{}: field '{}' is an empty list", place(), field);
  std::vector<std::string> all;
  for (const auto& member : value) all.push_back(print_value(member, place(), field));
  return all;
}

void for_each_json_row(const std::string& path, const std::function<void(const JsonRow&)>& visit) {
  std::size_t rows = 0;
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) return;
    nlohmann::json fields;
    try {
      fields = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& error) {
      fail("{}:{}: no JSON: {}", path, number, error.what());
    }
    if (!fields.is_object())
      fail("{}:{}: should be a JSON object, but is {}", path, number, fields.type_name());
    visit(JsonRow(fields, path, number));
    ++rows;
  });
  if (rows == 0) fail("{}: the file has no rows", path);
}

}  // namespace trimtab
