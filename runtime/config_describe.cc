// SPDX-License-Identifier: Apache-2.0
//
// What can be made of a list of fields besides reading it: the resolved dump, differences, the reference page
// and the JSON Schema.
#include <cmath>
#include <map>
#include <type_traits>

#include "runtime/check.h"
#include "runtime/config.h"

namespace trimtab {
namespace detail {
namespace {

using Kind = ConfigNode::Kind;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;  // clang 14 does not deduce this by itself

ConfigNode dump(bool value) { return ConfigNode::plain(value ? "true" : "false"); }
ConfigNode dump(std::int64_t value) { return ConfigNode::plain(fmt::format("{}", value)); }
ConfigNode dump(double value) { return ConfigNode::number(value); }
ConfigNode dump(const std::string& value) { return ConfigNode::string(value); }

template <class T>
ConfigNode dump(const std::vector<T>& values) {
  ConfigNode out = ConfigNode::list();
  for (const T& value : values) out.items.push_back(dump(value));
  return out;
}

template <class T>
ConfigNode dump(const std::optional<T>& value) {
  return value ? dump(*value) : ConfigNode();
}

// The subtree with its name first, whether the file gave it or not.
ConfigNode dump(Subtree& subtree) {
  if (SubtreeAccess::resolved(subtree)) return *SubtreeAccess::resolved(subtree);
  ConfigNode out = ConfigNode::map();
  out.add("name", ConfigNode::string(subtree.name()));
  const ConfigNode& node = SubtreeAccess::node(subtree);
  for (std::size_t i = 0; i < node.keys.size(); ++i)
    if (node.keys[i] != "name") out.add(node.keys[i], node.items[i]);
  return out;
}

ConfigNode dump(const ConfigNode& node) { return node; }

ConfigNode dump(const Section& section) { return dump_fields(section.fields); }

ConfigNode dump(const Sections& sections) {
  if (!sections.is_list) return sections.size() == 0 ? ConfigNode() : dump_fields(sections.at(0));
  ConfigNode out = ConfigNode::list();
  for (std::size_t i = 0; i < sections.size(); ++i) out.items.push_back(dump_fields(sections.at(i)));
  return out;
}

template <class T>
ConfigNode dump(T* value) {
  return dump(*value);
}

std::string one_type(const bool*) { return "true or false"; }
std::string one_type(const std::int64_t*) { return "whole number"; }
std::string one_type(const double*) { return "number"; }
std::string one_type(const std::string*) { return "text"; }

std::string bounds(const FieldRules& rules) {
  const bool low = std::isfinite(rules.min), high = std::isfinite(rules.max);
  if (low && high && !rules.above_min) return fmt::format("from {} to {}", rules.min, rules.max);
  std::string out;
  if (low) out = fmt::format("{} {}", rules.above_min ? "above" : "of at least", rules.min);
  if (high) out += fmt::format("{}at most {}", low ? " and " : "of ", rules.max);
  return out;
}

// A scalar in words, as in "a number above 0".
std::string one_expectation(const Field& field, std::string_view type) {
  const FieldRules& rules = field.rules;
  if (!rules.choices.empty()) return fmt::format("one of {}", fmt::join(rules.choices, ", "));
  std::string out(type);
  if (type == "whole number" || type == "number") out = "a " + out;
  if (const std::string range = bounds(rules); !range.empty()) out += " " + range;
  if (!rules.unit.empty()) out += " (" + rules.unit + ")";
  return out;
}

std::string size_rule(const FieldRules& rules) {
  return rules.min_size == 0 ? "" : fmt::format(", at least {} of them", rules.min_size);
}

// "a list of whole numbers, each of at least 1 (tokens), at least 2 of them".
template <class T>
std::string list_expectation(const Field& field, const T* item) {
  const FieldRules& rules = field.rules;
  if (!rules.choices.empty())
    return fmt::format("a list out of {}{}", fmt::join(rules.choices, ", "), size_rule(rules));
  std::string out = fmt::format("a list of {}s", one_type(item));
  if (const std::string range = bounds(rules); !range.empty()) out += ", each " + range;
  if (!rules.unit.empty()) out += " (" + rules.unit + ")";
  return out + size_rule(rules);
}

}  // namespace

std::string expectation(const Field& field) {
  return std::visit(
      Overloaded{
          [&](const auto* value) -> std::string { return one_expectation(field, one_type(value)); },
          [&](const std::string* value) -> std::string {
            const bool counted = field.rules.min_size > 0 && field.rules.choices.empty();
            const std::string text = one_expectation(field, one_type(value));
            return counted ? fmt::format("{} of at least {} characters", text, field.rules.min_size) : text;
          },
          [&]<class T>(const std::optional<T>*) -> std::string {
            return one_expectation(field, one_type(static_cast<const T*>(nullptr))) + ", or null";
          },
          [&]<class T>(const std::vector<T>*) -> std::string {
            return list_expectation(field, static_cast<const T*>(nullptr));
          },
          [&](const Subtree*) -> std::string {
            if (field.rules.choices.empty()) return "a section with a name";
            return fmt::format("a section whose name is one of {}", fmt::join(field.rules.choices, ", "));
          },
          [](const ConfigNode*) -> std::string { return "a section or a list"; },
          [](const Section&) -> std::string { return "a section"; },
          [&](const Sections& s) -> std::string {
            return s.is_list ? fmt::format("a list of sections{}", size_rule(field.rules))
                             : "a section, or null";
          }},
      field.target);
}

ConfigNode dump_fields(const Fields& fields) {
  ConfigNode out = ConfigNode::map();
  for (const Field& field : fields) {
    const auto* subtree = std::get_if<Subtree*>(&field.target);
    if (subtree != nullptr && !(*subtree)->present()) continue;
    const auto* node = std::get_if<ConfigNode*>(&field.target);
    if (node != nullptr && (*node)->kind == ConfigNode::Kind::kNull) continue;
    out.add(field.name, std::visit([](const auto& target) { return dump(target); }, field.target));
  }
  return out;
}

}  // namespace detail

namespace {

using Kind = ConfigNode::Kind;

bool has_sections(const ConfigNode& list) {
  for (const ConfigNode& item : list.items)
    if (item.kind == Kind::kMap) return true;
  return false;
}

void flatten(const ConfigNode& node, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& out) {
  const bool descend =
      !node.items.empty() && (node.kind == Kind::kMap || (node.kind == Kind::kList && has_sections(node)));
  if (!descend) {
    out.emplace_back(path, to_flow(node));
    return;
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string key = node.kind == Kind::kMap ? node.keys[i] : fmt::format("{}", i);
    flatten(node.items[i], path.empty() ? key : path + "." + key, out);
  }
}

}  // namespace

std::vector<Difference> difference(const ConfigNode& before, const ConfigNode& after) {
  std::vector<std::pair<std::string, std::string>> left, right;
  flatten(before, "", left);
  flatten(after, "", right);
  const std::map<std::string, std::string> in_left(left.begin(), left.end()),
      in_right(right.begin(), right.end());
  std::vector<Difference> out;
  for (const auto& [key, value] : left) {
    const auto found = in_right.find(key);
    const std::string other = found == in_right.end() ? "(absent)" : found->second;
    if (other != value) out.push_back({key, value, other});
  }
  for (const auto& [key, value] : right)
    if (!in_left.contains(key)) out.push_back({key, "(absent)", value});
  return out;
}

}  // namespace trimtab
