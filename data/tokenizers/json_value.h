// SPDX-License-Identifier: Apache-2.0
//
// A value of a JSON file that knows where it stands, so that a wrong one is reported by its place: "file:
// model.merges.3 should be text". All errors are Error.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

class JsonValue {
 public:
  // `json` outlives this and all that is reached from it. `place` is the file's name.
  JsonValue(const nlohmann::json& json, std::string file, std::string place = "")
      : json_(&json), file_(std::move(file)), place_(std::move(place)) {}

  bool is_text() const;
  bool is_null() const;
  bool is_list() const;
  // Whether the object has the member and it is not null.
  bool has(const char* member) const;

  // A member of an object; a missing one is null.
  JsonValue at(const char* member) const;
  const std::string& text() const;
  bool flag() const;
  std::int64_t number() const;  // INT64_MAX for larger ones
  std::vector<JsonValue> list() const;
  void for_each_member(
      const std::function<void(const std::string& name, const JsonValue& value)>& visit) const;

  // What an absent or null value stands for.
  bool flag_or(bool otherwise) const { return is_null() ? otherwise : flag(); }

  // "file: model.merges.3".
  std::string place() const;
  const std::string& file() const { return file_; }

 private:
  [[noreturn]] void fail_type(std::string_view wanted) const;

  const nlohmann::json* json_;
  std::string file_;
  std::string place_;
};

}  // namespace trimtab
