// SPDX-License-Identifier: Apache-2.0
//
// Strict configuration. A section is a plain struct with one function that lists its fields:
//
//   struct Mesh { std::int64_t data = 1; };
//   template <class V> void describe(V& v, Mesh& s) {
//     v.field("data", s.data, "Replicas of the model.", {.min = 1, .unit = "ranks"});
//   }
//
// Reading, `--set`, dumping, comparing, the reference page and the JSON Schema all come from that function.
// Unknown, missing, doubled and malformed keys are ConfigErrors "file:line: dotted.path: what was expected,
// what was found". Configs are values; nothing here is shared between threads.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/config_fields.h"
#include "runtime/config_tree.h"

namespace trimtab {

// Reads `path`, applies the overrides ("a.b.c=value") in their order, and fills a config. Throws ConfigError.
template <class S>
S load_config(const std::string& path, const std::vector<std::string>& overrides = {}) {
  S config;
  detail::read_root(detail::fields_of(config), read_yaml_file(path), overrides);
  return config;
}

// The same for a text; `file` is its name in messages.
template <class S>
S parse_config(const std::string& text, const std::string& file,
               const std::vector<std::string>& overrides = {}) {
  S config;
  detail::read_root(detail::fields_of(config), parse_yaml(text, file), overrides);
  return config;
}

// The same for a tree.
template <class S>
S read_config(const ConfigNode& root, const std::vector<std::string>& overrides = {}) {
  S config;
  detail::read_root(detail::fields_of(config), root, overrides);
  return config;
}

// Reads the options of the entry that the subtree names, as strictly as the rest, and remembers them with all
// their defaults for the dump (nested subtrees as they stand at this moment). The key `name` is the subtree's
// own; options may list it as a text field as well.
template <class S>
void read(Subtree& subtree, S& options) {
  detail::read_subtree(subtree, detail::fields_of(options));
}

template <class S>
S read(Subtree& subtree) {
  S options;
  read(subtree, options);
  return options;
}

// Every field with its value, in the order of describe(). Reading the text again gives the same config.
template <class S>
ConfigNode config_tree(S config) {
  return detail::dump_fields(detail::fields_of(config));
}

template <class S>
std::string dump_config(const S& config) {
  return to_yaml(config_tree(config));
}

template <class S>
std::string dump_config_json(const S& config) {
  return to_json(config_tree(config));
}

// A leaf that differs between two configs; the text of a key that one of them lacks is "(absent)".
struct Difference {
  std::string key;  // dotted
  std::string before;
  std::string after;
  bool operator==(const Difference&) const = default;
};

// In the order of the first tree, then what only the second one has.
std::vector<Difference> difference(const ConfigNode& before, const ConfigNode& after);

template <class S>
std::vector<Difference> difference(const S& before, const S& after) {
  return difference(config_tree(before), config_tree(after));
}

// A Markdown table with one row a key; `prefix` goes in front of the keys ("method" for the options of a
// method).
template <class S>
std::string config_reference(const std::string& prefix = "") {
  S defaults;
  return detail::reference_table(detail::fields_of(defaults), prefix);
}

// JSON Schema (draft 2020-12) for editors. Options of subtrees are not part of it.
template <class S>
std::string config_schema(const std::string& title) {
  S defaults;
  return to_json(detail::schema(detail::fields_of(defaults), title));
}

}  // namespace trimtab
