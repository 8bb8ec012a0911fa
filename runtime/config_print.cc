// SPDX-License-Identifier: Apache-2.0
//
// The tree as YAML and as JSON.
#include <string>

#include "runtime/check.h"
#include "runtime/config_tree.h"

namespace trimtab {
namespace {

using Kind = ConfigNode::Kind;

// The escapes that YAML and JSON have in common.
std::string quoted(std::string_view text) {
  std::string out(1, '"');
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

bool is_safe_plain(std::string_view text) {
  if (text.empty()) return false;
  if (text.starts_with("---") || text.starts_with("...") || text == "-") return false;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && std::string_view("_./+-").find(c) == std::string_view::npos) return false;
  }
  return true;
}

// Words that older YAML readers take for truth values are quoted for their sake.
bool is_old_truth(std::string_view text) {
  for (const std::string_view word :
       {"y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"})
    if (text == word) return true;
  return false;
}

std::string yaml_scalar(const ConfigNode& node) {
  const bool plain = is_safe_plain(node.text) &&
                     (!node.quoted || !(looks_like_other_than_text(node.text) || is_old_truth(node.text)));
  return plain ? node.text : quoted(node.text);
}

std::string yaml_key(const std::string& key) { return yaml_scalar(ConfigNode::string(key)); }

bool fits_one_line(const ConfigNode& node) {
  if (node.kind == Kind::kMap) return node.items.empty();
  if (node.kind != Kind::kList) return true;
  for (const ConfigNode& item : node.items)
    if (item.kind == Kind::kMap || item.kind == Kind::kList) return false;
  return true;
}

void append_block(const ConfigNode& node, int indent, std::string& out) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const ConfigNode& item = node.items[i];
    const bool map = node.kind == Kind::kMap;
    out += fmt::format("{}{}", margin, map ? yaml_key(node.keys[i]).append(":") : "-");
    if (fits_one_line(item)) {
      out += fmt::format(" {}\n", to_flow(item));
      continue;
    }
    std::string block;
    append_block(item, indent + 2, block);
    // The first line of a list's item stands behind its dash.
    if (map) out += '\n';
    out += map ? block : block.substr(static_cast<std::size_t>(indent) + 1);
  }
}

std::string json_scalar(const ConfigNode& node) {
  if (node.quoted) return quoted(node.text);
  if (node.text == "true" || node.text == "false") return node.text;
  std::string remedy;
  std::int64_t whole = 0;
  double real = 0;
  if (parse_scalar(node, whole, remedy)) return fmt::format("{}", whole);
  if (parse_scalar(node, real, remedy)) return fmt::format("{}", real);
  return quoted(node.text);
}

void append_json(const ConfigNode& node, int indent, std::string& out) {
  if (node.kind == Kind::kNull) {
    out += "null";
  } else if (node.kind == Kind::kScalar) {
    out += json_scalar(node);
  } else {
    const bool map = node.kind == Kind::kMap;
    if (node.items.empty()) {
      out += map ? "{}" : "[]";
      return;
    }
    const bool one_line = !map && fits_one_line(node);
    const std::string margin = one_line ? "" : fmt::format("\n{:{}}", "", indent + 2);
    out += map ? '{' : '[';
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      if (i > 0) out += one_line ? ", " : ",";
      out += margin;
      if (map) out += quoted(node.keys[i]).append(": ");
      append_json(node.items[i], indent + 2, out);
    }
    if (!one_line) out += fmt::format("\n{:{}}", "", indent);
    out += map ? '}' : ']';
  }
}

}  // namespace

std::string to_flow(const ConfigNode& node) {
  if (node.kind == Kind::kNull) return "null";
  if (node.kind == Kind::kScalar) return yaml_scalar(node);
  const bool map = node.kind == Kind::kMap;
  std::string out(1, map ? '{' : '[');
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (i > 0) out += ", ";
    if (map) out += yaml_key(node.keys[i]).append(": ");
    out += to_flow(node.items[i]);
  }
  out += map ? '}' : ']';
  return out;
}

std::string to_yaml(const ConfigNode& root) {
  if (fits_one_line(root)) return to_flow(root).append("\n");
  std::string out;
  append_block(root, 0, out);
  return out;
}

std::string to_json(const ConfigNode& root) {
  std::string out;
  append_json(root, 0, out);
  out += '\n';
  return out;
}

}  // namespace trimtab
