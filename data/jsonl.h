// SPDX-License-Identifier: Apache-2.0
//
// JSON Lines: one object a line; and rows inside one JSON document. A row knows its file and line, so that a
// wrong field is reported where it stands.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/text_file.h"

namespace trimtab {

// One row, valid during the visit only.
class JsonRow {
 public:
  JsonRow(const nlohmann::json& fields, std::string place) : fields_(fields), place_(std::move(place)) {}

  // "file:line", for messages.
  const std::string& place() const { return place_; }
  bool has(const std::string& field) const { return fields_.contains(field); }
  const nlohmann::json& fields() const { return fields_; }

  // The field itself. Throws Error that names file, line, the missing field and the fields that are there.
  const nlohmann::json& at(const std::string& field) const;
  // A string. Throws Error if it is of another type.
  std::string text(const std::string& field) const;
  // An object, a list. Throw Error in the same way.
  JsonRow object(const std::string& field) const;
  std::vector<JsonRow> objects(const std::string& field) const;
  // A string as it is; numbers and booleans as T5's preprocessors print them ("3", "True", "False").
  std::string printed(const std::string& field) const;
  // A string, or each member of a list of strings (printed as above).
  std::vector<std::string> texts(const std::string& field) const;

 private:
  const nlohmann::json& fields_;
  std::string place_;
};

// Visits each row of a file; blank lines are skipped. Throws Error: file and line of a row that is no JSON or
// no object; the file if it is empty or has no row.
void for_each_json_row(const TextFile& file, const std::function<void(const JsonRow&)>& visit);
// The same for a plain or gzip file.
void for_each_json_row(const std::string& path, const std::function<void(const JsonRow&)>& visit);

// A file that is one JSON document. Throws Error "file: no JSON: ..." with the place.
nlohmann::json parse_json_document(const TextFile& file);

// Visits each member of a document that is a list of objects or an object of objects ({"0": {...}, ...}, in
// the order of the file). Throws Error as above; a row's place is "file: row 3", counted from 1.
void for_each_json_member(const TextFile& file, const std::function<void(const JsonRow&)>& visit);

}  // namespace trimtab
