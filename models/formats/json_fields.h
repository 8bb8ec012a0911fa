// SPDX-License-Identifier: Apache-2.0
//
// Configs of models as JSON: Hugging Face's config.json, of which only known fields are read, and our own
// form, which holds exactly the fields of a struct. In all functions `where` begins each message: the file,
// or the file and the attribute.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// Throws Error for what is no JSON object.
Json parse_json_object(std::string_view text, const std::string& where);

// Takes a field of exactly the right kind; JSON's whole numbers are also real numbers. ConfigError otherwise.
template <typename T>
void take_json(const Json& value, const std::string& name, const std::string& where, T& out) {
  const auto refuse = [&](const char* expected) {
    fail_config("{}: '{}' must be {}, not {}", where, name, expected, value.dump());
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) refuse("true or false");
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!value.is_string()) refuse("a text");
  } else if constexpr (std::is_same_v<T, std::vector<float>>) {
    if (!value.is_array() || !std::ranges::all_of(value, [](const Json& x) { return x.is_number(); }))
      refuse("a list of numbers");
  } else if constexpr (std::is_integral_v<T>) {
    if (!value.is_number_integer()) refuse("a whole number");
  } else {
    if (!value.is_number()) refuse("a number");
  }
  out = value.get<T>();
}

// The fields of an object whose other fields are of no interest. Null, which transformers writes for "the
// default", is as if a field were not there.
class JsonFields {
 public:
  // `prefix` goes in front of names in messages.
  JsonFields(const Json& json, std::string where, std::string prefix = "")
      : json_(json), where_(std::move(where)), prefix_(std::move(prefix)) {}

  const Json* find(const char* name) const {
    const auto value = json_.find(name);
    return value == json_.end() || value->is_null() ? nullptr : &*value;
  }
  // False if it is not there.
  template <typename T>
  bool may(const char* name, T& out) const {
    const Json* value = find(name);
    if (value != nullptr) take_json(*value, prefix_ + name, where_, out);
    return value != nullptr;
  }
  template <typename T>
  void need(const char* name, T& out) const {
    if (!may(name, out)) fail_config("{}: '{}' is missing", where_, prefix_ + name);
  }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  std::string where_, prefix_;
};

// Our own form of a struct. `visit_fields(config, visit)` calls visit(name, field) for each field.
template <typename Config, typename VisitFields>
std::string config_to_json(const Config& config, VisitFields visit_fields) {
  OrderedJson json;
  visit_fields(config, [&](const char* name, const auto& value) { json[name] = value; });
  return json.dump();
}

// Strict: unknown and missing fields throw Error, malformed ones ConfigError.
template <typename Config, typename VisitFields>
Config config_from_json(std::string_view text, const std::string& where, VisitFields visit_fields) {
  const Json json = parse_json_object(text, where);
  Config config;
  std::vector<std::string> known;
  visit_fields(config, [&](const char* name, auto& value) {
    known.emplace_back(name);
    if (!json.contains(name)) fail("{}: '{}' is missing", where, name);
    take_json(json[name], name, where, value);
  });
  for (const auto& [name, value] : json.items())
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail("{}: '{}' is not known{}: was the file written by a newer version?", where, name,
           did_you_mean(name, known));
  return config;
}

// Runs the config's check(), whose messages name the field, and adds the place.
template <typename Config>
void check_with_place(const Config& config, const std::string& where) {
  try {
    check(config);
  } catch (const ConfigError& error) {
    fail_config("{}: {}", where, error.what());
  }
}

}  // namespace trimtab
