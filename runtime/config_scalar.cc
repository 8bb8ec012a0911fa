// SPDX-License-Identifier: Apache-2.0
//
// How a scalar of the tree becomes a value: strict, and with the remedy where the value is nearly right.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "runtime/check.h"
#include "runtime/config_tree.h"

namespace trimtab {
namespace {

enum class Look { kText, kInteger, kDecimal, kHex, kLeadingZero, kUnderscores, kNotFinite };

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

std::size_t digits_at(std::string_view text, std::size_t at) {
  std::size_t count = 0;
  while (at + count < text.size() && text[at + count] >= '0' && text[at + count] <= '9') ++count;
  return count;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// digits [. digits] [e [sign] digits], with at least one digit before the exponent.
Look look_at_unsigned(std::string_view text) {
  const std::size_t whole = digits_at(text, 0);
  std::size_t at = whole, fraction = 0;
  const bool point = at < text.size() && text[at] == '.';
  if (point) {
    fraction = digits_at(text, at + 1);
    at += 1 + fraction;
  }
  if (whole + fraction == 0) return Look::kText;
  bool exponent = false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    exponent = true;
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t power = digits_at(text, at);
    if (power == 0) return Look::kText;
    at += power;
  }
  if (at != text.size()) return Look::kText;
  if (whole > 1 && text[0] == '0') return Look::kLeadingZero;
  return point || exponent ? Look::kDecimal : Look::kInteger;
}

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

Look look_at(std::string_view text) {
  const std::string_view rest = without_sign(text);
  if (is_one_of(rest, {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"})) return Look::kNotFinite;
  const bool hex = rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X');
  if (hex && rest.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos) return Look::kHex;
  const Look look = look_at_unsigned(rest);
  if (look != Look::kText || rest.empty() || rest[0] < '0' || rest[0] > '9') return look;
  return look_at_unsigned(without_underscores(rest)) != Look::kText ? Look::kUnderscores : Look::kText;
}

// std::from_chars knows no plus sign.
template <class T>
std::errc convert(std::string_view text, T& out) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  return std::from_chars(text.data(), text.data() + text.size(), out).ec;
}

std::string number_remedy(const ConfigNode& node, Look look) {
  if (node.kind != ConfigNode::Kind::kScalar) return "";
  const std::string_view text = node.text;
  if (node.quoted) return look == Look::kInteger || look == Look::kDecimal ? "remove the quotes" : "";
  const std::string sign = !text.empty() && text[0] == '-' ? "-" : "";
  const std::string_view rest = without_sign(text);
  switch (look) {
    case Look::kHex: {
      std::uint64_t value = 0;
      const auto result = std::from_chars(rest.data() + 2, rest.data() + rest.size(), value, 16);
      return result.ec == std::errc() ? fmt::format("write it in decimal: {}{}", sign, value)
                                      : "write it in decimal";
    }
    case Look::kLeadingZero: {
      std::size_t zeros = 0;
      while (zeros + 1 < rest.size() && rest[zeros] == '0' && digits_at(rest, zeros + 1) > 0) ++zeros;
      return fmt::format("write {}{}", sign, rest.substr(zeros));
    }
    case Look::kUnderscores:
      return fmt::format("write {}", without_underscores(text));
    case Look::kNotFinite:
      return "the number must be finite";
    default:
      return "";
  }
}

}  // namespace

bool looks_like_other_than_text(std::string_view text) {
  const Look look = look_at(text);
  if (look != Look::kText && look != Look::kUnderscores) return true;
  return is_one_of(text,
                   {"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~", ""});
}

bool parse_scalar(const ConfigNode& node, bool& out, std::string& remedy) {
  if (node.kind != ConfigNode::Kind::kScalar) return false;
  if (!node.quoted && (node.text == "true" || node.text == "false")) {
    out = node.text == "true";
    return true;
  }
  std::string lower = node.text;
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (is_one_of(lower, {"true", "yes", "y", "on", "1"})) remedy = "write true";
  if (is_one_of(lower, {"false", "no", "n", "off", "0"})) remedy = "write false";
  return false;
}

bool parse_scalar(const ConfigNode& node, std::int64_t& out, std::string& remedy) {
  const Look look = look_at(node.text);
  if (node.kind != ConfigNode::Kind::kScalar || node.quoted ||
      (look != Look::kInteger && look != Look::kDecimal)) {
    remedy = number_remedy(node, look);
    return false;
  }
  if (look == Look::kInteger) {
    if (convert(node.text, out) == std::errc()) return true;
    remedy = "it does not fit in 64 bits";
    return false;
  }
  double value = 0;
  constexpr double kExact = 9007199254740992.0;  // 2^53: every whole number up to here is exact in a double
  if (convert(node.text, value) != std::errc() || std::abs(value) > kExact) {
    remedy = "write all its digits";
    return false;
  }
  if (value != std::floor(value)) {
    remedy = "it has a fraction";
    return false;
  }
  out = static_cast<std::int64_t>(value);
  return true;
}

bool parse_scalar(const ConfigNode& node, double& out, std::string& remedy) {
  const Look look = look_at(node.text);
  if (node.kind != ConfigNode::Kind::kScalar || node.quoted ||
      (look != Look::kInteger && look != Look::kDecimal)) {
    remedy = number_remedy(node, look);
    return false;
  }
  if (convert(node.text, out) == std::errc()) return true;
  remedy = "it is beyond the range of 64-bit floating point";
  return false;
}

bool parse_scalar(const ConfigNode& node, std::string& out, std::string& remedy) {
  if (node.kind == ConfigNode::Kind::kMap || node.kind == ConfigNode::Kind::kList)
    remedy = "text that begins with { or [ needs quotes around it";
  if (node.kind != ConfigNode::Kind::kScalar) return false;
  if (!node.quoted && looks_like_other_than_text(node.text)) {
    remedy = fmt::format("for text, put it in quotes: \"{}\"", node.text);
    return false;
  }
  out = node.text;
  return true;
}

std::string describe_found(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::kNull:
      return "nothing";
    case ConfigNode::Kind::kList:
      return "a list";
    case ConfigNode::Kind::kMap:
      return "a section";
    case ConfigNode::Kind::kScalar:
      break;
  }
  const Look look = look_at(node.text);
  if (!node.quoted && (look == Look::kInteger || look == Look::kDecimal)) return "the number " + node.text;
  if (!node.quoted && looks_like_other_than_text(node.text)) return node.text;
  constexpr std::size_t kShown = 60;
  if (node.text.size() <= kShown) return fmt::format("the text '{}'", node.text);
  return fmt::format("the text '{}...'", node.text.substr(0, kShown));
}

}  // namespace trimtab
