// SPDX-License-Identifier: Apache-2.0
//
// The reference page and the JSON Schema, both from the list of fields with its default values.
#include <cmath>
#include <type_traits>

#include "runtime/check.h"
#include "runtime/config.h"

namespace trimtab::detail {
namespace {

std::string joined(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

// A cell of a Markdown table must not hold the column mark.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string default_text(const Field& field, const ConfigNode* value) {
  if (field.rules.required) return "required";
  if (value == nullptr) return "none";
  if (std::holds_alternative<Subtree*>(field.target))
    return fmt::format("`{}`", to_flow(*value->find("name")));
  return value->kind == ConfigNode::Kind::kNull ? "none" : fmt::format("`{}`", to_flow(*value));
}

void append_rows(const Fields& fields, const std::string& path, std::string& out) {
  const ConfigNode values = dump_fields(fields);
  for (const Field& field : fields) {
    const std::string key = joined(path, field.name);
    if (const auto* section = std::get_if<Section>(&field.target)) {
      out += fmt::format("| `{}` | section |  | {} |\n", key, cell(field.sentence));
      append_rows(section->fields, key, out);
      continue;
    }
    out += fmt::format("| `{}` | {} | {} | {} |\n", key, cell(expectation(field)),
                       cell(default_text(field, values.find(field.name))), cell(field.sentence));
    if (const auto* sections = std::get_if<Sections>(&field.target))
      sections->with_default(
          [&](const Fields& inner) { append_rows(inner, key + (sections->is_list ? ".N" : ""), out); });
  }
}

ConfigNode type(std::string_view name) {
  ConfigNode out = ConfigNode::map();
  out.add("type", ConfigNode::string(name));
  return out;
}

ConfigNode texts(const std::vector<std::string>& values) {
  ConfigNode out = ConfigNode::list();
  for (const std::string& value : values) out.items.push_back(ConfigNode::string(value));
  return out;
}

void add_bounds(ConfigNode& out, const FieldRules& rules) {
  if (std::isfinite(rules.min))
    out.add(rules.above_min ? "exclusiveMinimum" : "minimum", ConfigNode::number(rules.min));
  if (std::isfinite(rules.max)) out.add("maximum", ConfigNode::number(rules.max));
}

ConfigNode scalar_schema(const bool*, const FieldRules&) { return type("boolean"); }
ConfigNode scalar_schema(const std::int64_t*, const FieldRules& rules) {
  ConfigNode out = type("integer");
  add_bounds(out, rules);
  return out;
}
ConfigNode scalar_schema(const double*, const FieldRules& rules) {
  ConfigNode out = type("number");
  add_bounds(out, rules);
  return out;
}
ConfigNode scalar_schema(const std::string*, const FieldRules& rules) {
  ConfigNode out = type("string");
  if (!rules.choices.empty()) out.add("enum", texts(rules.choices));
  return out;
}

ConfigNode or_null(ConfigNode schema_of_value) {
  ConfigNode out = ConfigNode::map();
  ConfigNode& any = out.add("anyOf", ConfigNode::list());
  any.items.push_back(std::move(schema_of_value));
  any.items.push_back(type("null"));
  return out;
}

ConfigNode list_schema(ConfigNode item, const FieldRules& rules) {
  ConfigNode out = type("array");
  out.add("items", std::move(item));
  if (rules.min_size > 0) out.add("minItems", ConfigNode::plain(fmt::format("{}", rules.min_size)));
  return out;
}

ConfigNode object_schema(const Fields& fields);

ConfigNode schema_of(const Subtree* subtree, const FieldRules& rules) {
  ConfigNode name = type("string");
  if (!rules.choices.empty()) name.add("enum", texts(rules.choices));
  ConfigNode out = type("object");
  out.add("properties", ConfigNode::map()).add("name", std::move(name));
  // A default name may be left out.
  if (!subtree->present()) out.add("required", texts({"name"}));
  return out;
}
ConfigNode schema_of(const ConfigNode*, const FieldRules&) { return ConfigNode::map(); }
ConfigNode schema_of(const Section& section, const FieldRules&) { return object_schema(section.fields); }
ConfigNode schema_of(const Sections& sections, const FieldRules& rules) {
  ConfigNode item;
  sections.with_default([&](const Fields& fields) { item = object_schema(fields); });
  return sections.is_list ? list_schema(std::move(item), rules) : or_null(std::move(item));
}
template <class T>
ConfigNode schema_of(const T* value, const FieldRules& rules) {
  ConfigNode out = scalar_schema(value, rules);
  if constexpr (std::is_same_v<T, std::string>)
    if (rules.min_size > 0) out.add("minLength", ConfigNode::plain(fmt::format("{}", rules.min_size)));
  return out;
}
template <class T>
ConfigNode schema_of(const std::optional<T>*, const FieldRules& rules) {
  return or_null(scalar_schema(static_cast<const T*>(nullptr), rules));
}
template <class T>
ConfigNode schema_of(const std::vector<T>*, const FieldRules& rules) {
  return list_schema(scalar_schema(static_cast<const T*>(nullptr), rules), rules);
}

// Whether a section must be there: it or something inside is required.
bool is_required(const Field& field) {
  if (field.rules.required) return true;
  if (const auto* section = std::get_if<Section>(&field.target))
    for (const Field& inner : section->fields)
      if (is_required(inner)) return true;
  return false;
}

ConfigNode object_schema(const Fields& fields) {
  ConfigNode out = type("object");
  const ConfigNode values = dump_fields(fields);
  ConfigNode properties = ConfigNode::map();
  std::vector<std::string> required;
  for (const Field& field : fields) {
    ConfigNode one =
        std::visit([&](const auto& target) { return schema_of(target, field.rules); }, field.target);
    const std::string unit = field.rules.unit.empty() ? "" : fmt::format(" Unit: {}.", field.rules.unit);
    one.add("description", ConfigNode::string(field.sentence + unit));
    const ConfigNode* value = values.find(field.name);
    const bool leaf =
        !std::holds_alternative<Section>(field.target) && !std::holds_alternative<Sections>(field.target);
    if (leaf && value != nullptr && !field.rules.required) one.add("default", *value);
    if (is_required(field)) required.push_back(field.name);
    properties.add(field.name, std::move(one));
  }
  out.add("properties", std::move(properties));
  if (!required.empty()) out.add("required", texts(required));
  out.add("additionalProperties", ConfigNode::plain("false"));
  return out;
}

}  // namespace

std::string reference_table(const Fields& fields, const std::string& prefix) {
  std::string out = "| key | expected | default | meaning |\n|---|---|---|---|\n";
  append_rows(fields, prefix, out);
  return out;
}

ConfigNode schema(const Fields& fields, const std::string& title) {
  ConfigNode out = ConfigNode::map();
  out.add("$schema", ConfigNode::string("https://json-schema.org/draft/2020-12/schema"));
  out.add("title", ConfigNode::string(title));
  ConfigNode object = object_schema(fields);
  for (std::size_t i = 0; i < object.keys.size(); ++i) out.add(object.keys[i], std::move(object.items[i]));
  return out;
}

}  // namespace trimtab::detail
