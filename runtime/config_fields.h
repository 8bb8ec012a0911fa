// SPDX-License-Identifier: Apache-2.0
//
// What describe() fills: the list of a section's fields, each with a pointer to its value. Fields live no
// longer than the struct that they point into. Users of configs include config.h; this part is its machinery,
// but for Subtree and FieldRules.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/config_tree.h"

namespace trimtab {

// Bounds and choices hold for each item of a list.
struct FieldRules {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  // min itself is refused
  std::string unit{};
  std::vector<std::string> choices{};  // of text, and of the names of a subtree
  bool required = false;
  std::size_t min_size = 0;  // fewest items of a list, fewest characters of a text
};

class Subtree;

namespace detail {
struct Field;
using Fields = std::vector<Field>;
void read_subtree(Subtree& subtree, const Fields& fields);
struct SubtreeAccess;
}  // namespace detail

// A part of the file that is read later, when its key `name` has selected an entry of a registry, by
// read(subtree, options). Until then it dumps as it was written, afterwards with all defaults of the options.
class Subtree {
 public:
  // Absent unless the file has it.
  Subtree() = default;
  // The name that holds when the file gives none.
  explicit Subtree(std::string_view default_name) : name_(default_name) {}
  // For tests and tools: a subtree from YAML text, as if it stood at `path` of `file`.
  static Subtree parse(const std::string& text, const std::string& path, const std::string& file = "options");

  bool present() const { return !name_.empty(); }
  const std::string& name() const { return name_; }

  // "run.yaml:4: method.length", to be put in front of messages; the place of the subtree for a key that is
  // not given.
  std::string where(std::string_view key = "name") const;
  // Throws ConfigError "run.yaml:4: method.length: <message>".
  [[noreturn]] void refuse(std::string_view key, std::string_view message) const;

 private:
  friend struct detail::SubtreeAccess;
  std::string name_;
  std::string path_;
  ConfigNode node_ = ConfigNode::map();
  std::optional<ConfigNode> resolved_;
};

namespace detail {

struct Section {
  Fields fields;
};

// A list of structs, or an optional struct as a list of at most one.
struct Sections {
  bool is_list = true;
  std::function<std::size_t()> size;
  std::function<void(std::size_t)> reset;  // to that many structs with default values
  std::function<Fields(std::size_t)> at;
  std::function<void(const std::function<void(const Fields&)>&)>
      with_default;  // calls back with a default struct
};

using Target = std::variant<bool*, std::int64_t*, double*, std::string*, std::vector<std::int64_t>*,
                            std::vector<double>*, std::vector<std::string>*, std::optional<bool>*,
                            std::optional<std::int64_t>*, std::optional<double>*, std::optional<std::string>*,
                            Subtree*, ConfigNode*, Section, Sections>;

struct Field {
  std::string name;
  std::string sentence;
  FieldRules rules;
  Target target;
};

class FieldCollector;

template <class S>
concept Described = requires(FieldCollector& v, S& s) {
  describe(v, s);
};

template <class T>
concept Leaf = requires(Target& target, T* value) {
  target = value;
}
&&!std::same_as<T, void>;

template <class S>
Fields fields_of(S& section);

// The V of describe(). Names are unique within a section.
class FieldCollector {
 public:
  template <class T>
  void field(std::string_view name, T& value, std::string_view sentence, const FieldRules& rules = {}) {
    add(name, sentence, rules, target_of(value));
  }

  Fields take() { return std::move(fields_); }

 private:
  template <Leaf T>
  static Target target_of(T& value) {
    return &value;
  }
  template <Described S>
  static Target target_of(S& section) {
    return Section{fields_of(section)};
  }
  template <Described S>
  static Target target_of(std::vector<S>& sections) {
    return Sections{true, [&sections] { return sections.size(); },
                    [&sections](std::size_t count) { sections.assign(count, S()); },
                    [&sections](std::size_t i) { return fields_of(sections[i]); }, default_of<S>()};
  }
  template <Described S>
  static Target target_of(std::optional<S>& section) {
    return Sections{false, [&section] { return std::size_t{section ? 1u : 0u}; },
                    [&section](std::size_t count) {
                      section.reset();
                      if (count > 0) section.emplace();
                    },
                    [&section](std::size_t) { return fields_of(*section); }, default_of<S>()};
  }
  template <class T>
  static Target target_of(T&) {
    static_assert(!sizeof(T),
                  "a field is bool, std::int64_t, double, std::string, a vector or an optional of these, "
                  "a Subtree, a ConfigNode (any YAML, for whoever knows its shape), or a struct with a "
                  "describe() (or a vector or an optional of one)");
    return {};
  }
  template <class S>
  static std::function<void(const std::function<void(const Fields&)>&)> default_of() {
    return [](const std::function<void(const Fields&)>& use) {
      S section;
      use(fields_of(section));
    };
  }

  void add(std::string_view name, std::string_view sentence, FieldRules rules, Target target);

  Fields fields_;
};

template <class S>
Fields fields_of(S& section) {
  FieldCollector collector;
  describe(collector, section);
  return collector.take();
}

// The only way into a Subtree's parts from the reader and the printers.
struct SubtreeAccess {
  static std::string& name(Subtree& tree) { return tree.name_; }
  static std::string& path(Subtree& tree) { return tree.path_; }
  static ConfigNode& node(Subtree& tree) { return tree.node_; }
  static std::optional<ConfigNode>& resolved(Subtree& tree) { return tree.resolved_; }
};

void read_root(const Fields& fields, ConfigNode root, const std::vector<std::string>& overrides);
ConfigNode dump_fields(const Fields& fields);
std::string reference_table(const Fields& fields, const std::string& prefix);
ConfigNode schema(const Fields& fields, const std::string& title);

// "a whole number of at least 1 ranks", for messages and for the reference page.
std::string expectation(const Field& field);

}  // namespace detail
}  // namespace trimtab
