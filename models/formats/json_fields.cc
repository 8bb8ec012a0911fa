// SPDX-License-Identifier: Apache-2.0
#include "models/formats/json_fields.h"

namespace trimtab {

Json parse_json_object(std::string_view text, const std::string& where) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    fail("{}: not valid JSON: {}", where, error.what());
  }
  if (!json.is_object()) fail("{}: a JSON object is expected, this is {}", where, json.type_name());
  return json;
}

}  // namespace trimtab
