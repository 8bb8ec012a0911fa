// SPDX-License-Identifier: Apache-2.0
//
// JSON Lines: one object a line. A row knows its file and line, so that a wrong field is reported where it
// stands.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace trimtab {

// One row, valid during the visit only.
class JsonRow {
 public:
  JsonRow(const nlohmann::json& fields, const std::string& path, std::size_t line)
      : fields_(fields), path_(path), line_(line) {}

  // "file:line", for messages.
  std::string place() const;
  bool has(const std::string& field) const { return fields_.contains(field); }
  const nlohmann::json& fields() const { return fields_; }

  // The field itself. Throws Error that names file, line, the missing field and the fields that are there.
  const nlohmann::json& at(const std::string& field) const;
  // A string. Throws Error if it is of another type.
  std::string text(const std::string& field) const;
  // A string as it is; numbers and booleans as T5's preprocessors print them ("3", "True", "False").
  std::string printed(const std::string& field) const;
  // A string, or each member of a list of strings (printed as above).
  std::vector<std::string> texts(const std::string& field) const;

 private:
  const nlohmann::json& fields_;
  const std::string& path_;
  std::size_t line_;
};

// Visits each row of a plain or gzip file; blank lines are skipped. Throws Error: file and line of a row that
// is no JSON or no object; the file if it is empty or has no row.
void for_each_json_row(const std::string& path, const std::function<void(const JsonRow&)>& visit);

}  // namespace trimtab
