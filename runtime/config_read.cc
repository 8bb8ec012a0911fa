// SPDX-License-Identifier: Apache-2.0
//
// The strict reader: a walk over the list of fields with the tree beside it.
#include <algorithm>
#include <type_traits>

#include "runtime/check.h"
#include "runtime/config.h"
#include "runtime/foreign_keys.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace detail {
namespace {

using Kind = ConfigNode::Kind;

template <class T>
struct ItemOf {
  using type = void;
};
template <class T>
struct ItemOf<std::vector<T>> {
  using type = T;
};
template <class T>
struct ItemOf<std::optional<T>> {
  using type = T;
};

std::string joined(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::vector<std::string> names_of(const Fields& fields) {
  std::vector<std::string> out;
  for (const Field& field : fields) out.push_back(field.name);
  return out;
}

[[noreturn]] void refuse(const ConfigNode& node, const std::string& path, const std::string& message) {
  fail_config("{}: {}{}{}", node.place, path, path.empty() ? "" : ": ", message);
}

[[noreturn]] void refuse_value(const ConfigNode& node, const std::string& path, const Field& field,
                               const std::string& remedy) {
  refuse(node, path,
         fmt::format("expected {}, found {}{}{}", expectation(field), describe_found(node),
                     remedy.empty() ? "" : "; ", remedy));
}

const Field* find_field(const Fields& fields, std::string_view name) {
  for (const Field& field : fields)
    if (field.name == name) return &field;
  return nullptr;
}

// Whether a dotted key leads to a field. What lies below a subtree is not known here, hence taken to exist.
bool leads_somewhere(const Fields& fields, std::string_view key) {
  const std::size_t dot = key.find('.');
  const Field* field = find_field(fields, key.substr(0, dot));
  if (field == nullptr || dot == std::string_view::npos) return field != nullptr;
  if (const auto* section = std::get_if<Section>(&field->target))
    return leads_somewhere(section->fields, key.substr(dot + 1));
  return std::holds_alternative<Subtree*>(field->target);
}

void find_by_name(const Fields& fields, std::string_view name, const std::string& path,
                  std::vector<std::string>& out) {
  for (const Field& field : fields) {
    const std::string here = joined(path, field.name);
    if (edit_distance(field.name, name) == 0) out.push_back(here);
    if (const auto* section = std::get_if<Section>(&field.target))
      find_by_name(section->fields, name, here, out);
  }
}

class Reader {
 public:
  // `root_path` is where the root fields stand in the file: "" or the path of a subtree.
  Reader(const Fields& root, std::string root_path) : root_(root), root_path_(std::move(root_path)) {}

  // `extra` is one more key that may be there.
  void read(const Fields& fields, const ConfigNode& map, const std::string& path,
            std::string_view extra = "") const {
    for (std::size_t i = 0; i < map.keys.size(); ++i)
      if (map.keys[i] != extra && find_field(fields, map.keys[i]) == nullptr)
        refuse(map.items[i], joined(path, map.keys[i]), unknown(fields, map.keys[i], extra));
    for (const Field& field : fields) {
      const std::string here = joined(path, field.name);
      if (const ConfigNode* node = map.find(field.name)) {
        std::visit([&](const auto& target) { take(*node, here, field, target); }, field.target);
      } else {
        absent(map, here, field);
      }
    }
  }

 private:
  std::string unknown(const Fields& fields, const std::string& key, std::string_view extra) const {
    for (const std::string& ours : keys_for_foreign(key))
      if (is_known(ours)) return fmt::format("unknown key; did you mean {}?", ours);
    std::vector<std::string> siblings = names_of(fields);
    if (!extra.empty()) siblings.insert(siblings.begin(), std::string(extra));
    if (const std::string near = nearest(key, siblings); !near.empty())
      return fmt::format("unknown key; did you mean {}?", near);
    std::vector<std::string> elsewhere;
    find_by_name(root_, key, root_path_, elsewhere);
    if (elsewhere.size() == 1) return fmt::format("unknown key; did you mean {}?", elsewhere[0]);
    if (siblings.empty()) return "unknown key; no keys are known here";
    return fmt::format("unknown key; known here: {}", fmt::join(siblings, ", "));
  }

  // From inside a subtree the rest of the config is not seen: keys elsewhere are believed.
  bool is_known(const std::string& key) const {
    if (root_path_.empty()) return leads_somewhere(root_, key);
    if (!key.starts_with(root_path_ + ".")) return true;
    return leads_somewhere(root_, std::string_view(key).substr(root_path_.size() + 1));
  }

  // A section that is not there still has its required fields.
  void absent(const ConfigNode& map, const std::string& path, const Field& field) const {
    const auto* subtree = std::get_if<Subtree*>(&field.target);
    if (field.rules.required)
      refuse(map, path,
             fmt::format("the key is missing; expected {}: {}", expectation(field), field.sentence));
    if (const auto* section = std::get_if<Section>(&field.target)) {
      ConfigNode nothing = ConfigNode::map();
      nothing.place = map.place;
      read(section->fields, nothing, path);
    }
    if (subtree != nullptr) {
      SubtreeAccess::path(**subtree) = path;
      SubtreeAccess::node(**subtree).place = map.place;
    }
  }

  template <class T>
  void take(const ConfigNode& node, const std::string& path, const Field& field, T* out) const {
    using Item = typename ItemOf<T>::type;
    if constexpr (std::is_void_v<Item>) {
      std::string remedy;
      if (!parse_scalar(node, *out, remedy)) refuse_value(node, path, field, remedy);
      check(node, path, field, *out);
    } else if constexpr (std::is_same_v<T, std::optional<Item>>) {
      out->reset();
      if (node.kind != Kind::kNull) take(node, path, field, &out->emplace());
    } else {
      take_list(node, path, field, *out);
    }
  }

  template <class Item>
  void take_list(const ConfigNode& node, const std::string& path, const Field& field,
                 std::vector<Item>& out) const {
    if (node.kind != Kind::kList)
      refuse_value(node, path, field,
                   node.kind == Kind::kScalar ? fmt::format("write [{}]", to_flow(node)) : "");
    check_size(node, path, field);
    out.clear();
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      Field item = field;
      Item value{};
      item.target = &value;
      item.rules.min_size = 0;  // counts the items, not their characters
      take(node.items[i], joined(path, fmt::format("{}", i)), item, &value);
      out.push_back(std::move(value));
    }
  }

  void take(const ConfigNode& node, const std::string& path, const Field& field,
            const Section& section) const {
    if (node.kind != Kind::kMap) refuse_value(node, path, field, empty_remedy(node));
    read(section.fields, node, path);
  }

  void take(const ConfigNode& node, const std::string& path, const Field& field,
            const Sections& sections) const {
    if (!sections.is_list) {
      sections.reset(node.kind == Kind::kNull ? 0 : 1);
      if (node.kind == Kind::kNull) return;
      if (node.kind != Kind::kMap) refuse_value(node, path, field, "");
      return read(sections.at(0), node, path);
    }
    if (node.kind != Kind::kList) refuse_value(node, path, field, "");
    check_size(node, path, field);
    sections.reset(node.items.size());
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const std::string here = joined(path, fmt::format("{}", i));
      if (node.items[i].kind != Kind::kMap)
        refuse(node.items[i], here, "expected a section, found " + describe_found(node.items[i]));
      read(sections.at(i), node.items[i], here);
    }
  }

  void take(const ConfigNode& node, const std::string& path, const Field& field, Subtree* out) const {
    if (node.kind != Kind::kMap) refuse_value(node, path, field, empty_remedy(node));
    std::string& name = SubtreeAccess::name(*out);
    if (const ConfigNode* given = node.find("name")) {
      const Field as_text{"name", "", field.rules, &name};
      take(*given, joined(path, "name"), as_text, &name);
      if (name.empty()) refuse(*given, joined(path, "name"), "expected a name, found the empty text");
    } else if (name.empty()) {
      refuse(node, joined(path, "name"), fmt::format("the key is missing; expected {}", expectation(field)));
    }
    SubtreeAccess::path(*out) = path;
    SubtreeAccess::node(*out) = node;
    SubtreeAccess::resolved(*out).reset();
  }

  static void take(const ConfigNode& node, const std::string&, const Field&, ConfigNode* out) { *out = node; }

  static std::string empty_remedy(const ConfigNode& node) {
    return node.kind == Kind::kNull ? "leave the key out, or write {} for the defaults" : "";
  }

  static void check_size(const ConfigNode& node, const std::string& path, const Field& field) {
    if (node.items.size() >= field.rules.min_size) return;
    refuse(node, path, fmt::format("expected {}, found {} items", expectation(field), node.items.size()));
  }

  static void check(const ConfigNode&, const std::string&, const Field&, bool) {}

  static void check(const ConfigNode& node, const std::string& path, const Field& field, std::int64_t value) {
    check(node, path, field, static_cast<double>(value));
  }

  static void check(const ConfigNode& node, const std::string& path, const Field& field, double value) {
    const FieldRules& rules = field.rules;
    const bool low = rules.above_min ? value <= rules.min : value < rules.min;
    if (low || value > rules.max) refuse_value(node, path, field, "");
  }

  static void check(const ConfigNode& node, const std::string& path, const Field& field,
                    const std::string& value) {
    const std::vector<std::string>& choices = field.rules.choices;
    if (choices.empty()) {
      if (value.size() < field.rules.min_size) refuse_value(node, path, field, "");
      return;
    }
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
    const std::string near = nearest(value, choices);
    refuse(node, path,
           fmt::format("expected {}, found '{}'{}", expectation(field), value,
                       near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
  }

  const Fields& root_;
  std::string root_path_;
};

}  // namespace

void FieldCollector::add(std::string_view name, std::string_view sentence, FieldRules rules, Target target) {
  TT_CHECK(find_field(fields_, name) == nullptr, "the key '{}' is described twice", name);
  fields_.push_back({std::string(name), std::string(sentence), std::move(rules), std::move(target)});
}

void read_root(const Fields& fields, ConfigNode root, const std::vector<std::string>& overrides) {
  for (const std::string& assignment : overrides) apply_override(root, assignment);
  Reader(fields, "").read(fields, root, "");
}

void read_subtree(Subtree& subtree, const Fields& fields) {
  const std::string& path = SubtreeAccess::path(subtree);
  const bool lists_name = find_field(fields, "name") != nullptr;
  Reader(fields, path).read(fields, SubtreeAccess::node(subtree), path, "name");
  ConfigNode resolved = ConfigNode::map();
  if (!lists_name) resolved.add("name", ConfigNode::string(subtree.name()));
  ConfigNode options = dump_fields(fields);
  for (std::size_t i = 0; i < options.keys.size(); ++i)
    resolved.add(options.keys[i], std::move(options.items[i]));
  if (lists_name) *resolved.find("name") = ConfigNode::string(subtree.name());
  SubtreeAccess::resolved(subtree) = std::move(resolved);
}

}  // namespace detail

Subtree Subtree::parse(const std::string& text, const std::string& path, const std::string& file) {
  Subtree subtree;
  const detail::Fields fields{{path, "Options.", {}, &subtree}};
  ConfigNode root = ConfigNode::map();
  root.add(path, parse_yaml(text, file));
  detail::read_root(fields, std::move(root), {});
  return subtree;
}

std::string Subtree::where(std::string_view key) const {
  const ConfigNode* node = node_.find(key);
  const std::string& place = node != nullptr ? node->place : node_.place;
  return fmt::format("{}{}{}{}{}", place, place.empty() ? "" : ": ", path_, path_.empty() ? "" : ".", key);
}

void Subtree::refuse(std::string_view key, std::string_view message) const {
  fail_config("{}: {}", where(key), message);
}

}  // namespace trimtab
