// SPDX-License-Identifier: Apache-2.0
//
// A YAML document as a plain value that knows where each piece was written. The strict reader (config.h),
// `--set` and the resolved dump work on it; yaml-cpp is met in config_tree.cc only, since it keeps duplicate
// keys in silence and guesses at malformed values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

struct ConfigNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;               // of a scalar
  bool quoted = false;            // a quoted scalar is text, whatever it looks like
  std::string place;              // "run.yaml:12" or "--set"
  std::vector<std::string> keys;  // of a map, in the order of the file; items[i] belongs to keys[i]
  std::vector<ConfigNode> items;  // of a list or a map

  // nullptr when the map has no such key.
  const ConfigNode* find(std::string_view key) const;
  ConfigNode* find(std::string_view key);
  // Appends to a map.
  ConfigNode& add(std::string key, ConfigNode value);

  static ConfigNode map() { return of(Kind::kMap); }
  static ConfigNode list() { return of(Kind::kList); }
  static ConfigNode string(std::string_view text);
  static ConfigNode plain(std::string text);  // a number, true or false
  static ConfigNode number(double value);     // in the fewest digits that read back to the same value

 private:
  static ConfigNode of(Kind kind);
};

// Throw ConfigError with file and line: unreadable or empty file, several documents, malformed YAML, a key
// twice, keys that are not text, tags. `file` is what messages call the text. The root is a map.
ConfigNode parse_yaml(const std::string& text, const std::string& file);
ConfigNode read_yaml_file(const std::string& path);

// A dotted key and what it becomes; messages name the place of the value.
struct Assignment {
  std::string key;
  ConfigNode value;
};

// "a.b.c=value" with a value in YAML, written at `place`. Throws ConfigError.
Assignment parse_assignment(std::string_view text, const std::string& place);
// Sections on the way are created, items of lists are numbered from 0. A section sets what it names and
// leaves the rest of the one that is there, but for {}, which clears it, and for one that says its `name`:
// whose options they are that is there, is another one then. Throws ConfigError.
void assign(ConfigNode& root, const Assignment& assignment);
// Both, for what --set gives.
void apply_override(ConfigNode& root, std::string_view assignment);

// Block style, two spaces a level, lists of scalars on one line. parse_yaml() of the text gives the same
// tree.
std::string to_yaml(const ConfigNode& root);
std::string to_json(const ConfigNode& root);

// On one line, as in "[1, 2]".
std::string to_flow(const ConfigNode& node);

// For messages: "nothing", "the number 12", "the text 'abc'", "a list", "a section".
std::string describe_found(const ConfigNode& node);

// Each writes `out` and returns true, or returns false and may say how to write the value ("write 8") in
// `remedy`. true and false only; whole numbers may be written as 1e3 when that is exact; no infinities; text
// that looks like a number, true or false needs quotes.
bool parse_scalar(const ConfigNode& node, bool& out, std::string& remedy);
bool parse_scalar(const ConfigNode& node, std::int64_t& out, std::string& remedy);
bool parse_scalar(const ConfigNode& node, double& out, std::string& remedy);
bool parse_scalar(const ConfigNode& node, std::string& out, std::string& remedy);

// Whether plain text needs quotes so as not to be taken for a number, a truth value or nothing.
bool looks_like_other_than_text(std::string_view text);

}  // namespace trimtab
