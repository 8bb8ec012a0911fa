// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/oniguruma.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "data/unicode.h"
#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

constexpr int kMostNested = 64;  // groups and classes, far below what PCRE2 and the stack bear

// Outside of classes Oniguruma counts six characters of Latin-1 (fractions and raised digits) as well.
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kLoneWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xB2\xB3\xB9\xBC-\xBE)";

constexpr const char* kBehind =
    "looking behind, only characters, sets and (?:...) are: Oniguruma knows few other things there";

constexpr std::array kCategories = {"Any", "C",  "LC", "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll",
                                    "Lm",  "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd",
                                    "Nl",  "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps",
                                    "S",   "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs", "White_Space"};

bool is_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

std::string spelled(char32_t c) {
  if (is_letter(c) || is_digit(c)) return std::string(1, static_cast<char>(c));
  return fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
}

// Neighbours that are one character in another case, as "ss" is "ß" and "fi" is a ligature: Oniguruma matches
// it, PCRE2 does not. There are no more of ASCII alone.
bool fold_to_one(char32_t left, char32_t right) {
  left |= 0x20;
  right |= 0x20;
  return (left == 's' && (right == 's' || right == 't')) ||
         (left == 'f' && (right == 'f' || right == 'i' || right == 'l'));
}

// Between a word's character and another one, or between two of a kind.
std::string word_boundary(bool inverted) {
  const std::string word = fmt::format("[{}]", kLoneWord);
  return inverted ? fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word)
                  : fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word);
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view place) : pattern_(pattern), place_(place) {}

  std::string run() {
    if (const auto bad = find_invalid_utf8(pattern_))
      fail_config("{}: byte {} of the pattern '{}' is no UTF-8", place_, *bad,
                  replace_invalid_utf8(pattern_));
    const std::string out = alternatives().text;
    if (!done()) refuse(at_++, "it closes no group; write \\)");
    return out;
  }

 private:
  struct Atom {
    std::string text{};
    bool is_place = false;  // "^", what looks ahead or behind, or a group that may be one: not to be repeated
  };

  bool done() const { return at_ == pattern_.size(); }
  bool sees(std::string_view what) const { return pattern_.substr(at_).starts_with(what); }
  bool sees_one_of(std::string_view which) const {
    return !done() && which.find(pattern_[at_]) != which.npos;
  }
  bool take(std::string_view what) {
    if (!sees(what)) return false;
    at_ += what.size();
    return true;
  }
  char32_t take_character() {
    std::string_view rest = pattern_.substr(at_);
    const char32_t c = take_code_point(rest);
    at_ = pattern_.size() - rest.size();
    return c;
  }
  void skip(int characters) {
    for (; characters > 0 && !done(); --characters) take_character();
  }
  // Of what stands between `begin` and where reading has come.
  [[noreturn]] void refuse(std::size_t begin, std::string_view why) const {
    fail_config("{}: the pattern '{}' is not supported for '{}' at byte {}: {}", place_, pattern_,
                pattern_.substr(begin, std::max(at_, begin + 1) - begin), begin, why);
  }

  Atom alternatives();
  Atom sequence();
  Atom atom();
  Atom group();
  Atom escape();
  Atom literal(char32_t c, std::size_t begin);
  std::string repeated(const Atom& atom, bool folded);
  std::string interval(bool& exact);
  std::string digits();
  std::optional<std::string> set(bool in_class);
  std::string property(std::size_t begin);
  std::optional<char32_t> escaped_character();
  char32_t code_point(std::size_t begin, std::size_t least, std::size_t most);
  std::string members(std::size_t begin);
  std::string member(std::size_t begin_of_class, bool first);
  char32_t member_character();

  std::string_view pattern_;
  std::string_view place_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool folds_ = false;        // case does not matter here
  bool behind_ = false;       // in what looks behind
  char32_t last_folded_ = 0;  // the letter in front, where case does not matter
  int folded_ = 0;            // how many of them there have been
};

Translator::Atom Translator::alternatives() {
  Atom all = sequence();
  while (take("|")) {
    last_folded_ = 0;
    const Atom next = sequence();
    all.text += "|" + next.text;
    all.is_place = all.is_place || next.is_place;
  }
  return all;
}

Translator::Atom Translator::sequence() {
  Atom all;
  for (bool alone = true; !done() && !sees_one_of("|)"); alone = false) {
    Atom one;
    if (take("(?i)")) {
      // In Ruby it holds to the end of the group, alternatives included.
      const bool outer = std::exchange(folds_, true);
      one = alternatives();
      one.text = "(?i:" + one.text + ")";
      folds_ = outer;
    } else {
      const int before = folded_;
      one = atom();
      one.text = repeated(one, folded_ > before);
    }
    all.text += one.text;
    all.is_place = alone && one.is_place;
  }
  return all;
}

Translator::Atom Translator::atom() {
  const std::size_t begin = at_;
  if (sees("(")) return group();
  if (sees("\\")) return escape();
  if (sees_one_of("*+?{"))
    refuse(begin, "there is nothing to repeat; write \\ in front of the character itself");
  const bool is_class = sees("["), is_place = sees_one_of("^$");
  if (!is_class && !is_place && !sees(".")) return literal(take_character(), begin);
  last_folded_ = 0;
  ++at_;
  if (is_place && behind_) refuse(begin, kBehind);
  if (!is_class) return {std::string(1, pattern_[begin]), is_place};
  const char* open = take("^") ? "[^" : "[";
  return {open + members(begin) + "]"};
}

Translator::Atom Translator::group() {
  // Nothing refers to a group, so none need be kept.
  static constexpr std::array kPlaces = {"(?=", "(?!", "(?<=", "(?<!"};
  static constexpr std::array kGroups = {"(?:", "(?>", "(?i:", "("};
  const std::size_t begin = at_;
  const auto begins = [&](std::string_view open) { return take(open); };
  const bool is_place = std::ranges::any_of(kPlaces, begins);
  if (!is_place) std::ranges::any_of(kGroups, begins);
  const std::string open(pattern_.substr(begin, at_ - begin));
  if (open == "(" && sees_one_of("?*")) {
    skip(2);
    refuse(begin,
           "only (...), (?:...), (?>...), (?i:...), (?i), (?=...), (?!...), (?<=...) and (?<!...) are");
  }
  if (++depth_ > kMostNested) refuse(begin, fmt::format("it is deeper than {} groups", kMostNested));
  const bool outer_folds = std::exchange(folds_, folds_ || open == "(?i:");
  const bool outer_behind = std::exchange(behind_, behind_ || open.starts_with("(?<"));
  if (outer_behind && open != "(?:") refuse(begin, kBehind);
  const Atom inner = alternatives();
  if (!take(")")) refuse(begin, "the group is not closed");
  folds_ = outer_folds;
  behind_ = outer_behind;
  --depth_;
  return {(open == "(" ? "(?:" : open) + inner.text + ")", is_place || inner.is_place};
}

Translator::Atom Translator::escape() {
  const std::size_t begin = at_;
  if (const auto text = set(false)) {
    last_folded_ = 0;
    return {*text};
  }
  for (const std::string_view place : {"\\A", "\\z", "\\Z", "\\b", "\\B"}) {
    if (!take(place)) continue;
    if (behind_) refuse(begin, kBehind);
    const bool of_word = place == "\\b" || place == "\\B";
    return {of_word ? word_boundary(place == "\\B") : std::string(place), true};
  }
  if (const auto c = escaped_character()) return literal(*c, begin);
  skip(2);
  refuse(begin, "this escape is not known to mean the same to Oniguruma and PCRE2");
}

Translator::Atom Translator::literal(char32_t c, std::size_t begin) {
  if (folds_ && c >= 0x80)
    refuse(begin, "where case does not matter, only characters of ASCII are supported");
  if (folds_ && fold_to_one(last_folded_, c))
    refuse(begin, fmt::format("where case does not matter, '{}{}' is one character, too",
                              spelled(last_folded_), spelled(c)));
  last_folded_ = folds_ ? c : 0;
  if (folds_) ++folded_;
  return {spelled(c)};
}

std::string Translator::repeated(const Atom& atom, bool folded) {
  const std::size_t begin = at_;
  if (!sees_one_of("*+?{")) return atom.text;
  if (atom.is_place) refuse(begin, "a place in the text cannot be repeated");
  const bool braces = sees("{");
  // Oniguruma writes it out, and may then match "ß" for "s{2}".
  if (braces && folded) refuse(begin, "letters whose case does not matter cannot be counted");
  bool exact = false;
  std::string out = atom.text + (braces ? interval(exact) : std::string(1, pattern_[at_++]));
  // In Ruby braces are never possessive, and {n} never lazy: it is repeated once more.
  if ((braces && sees("+")) || (exact && sees("?"))) out = "(?:" + out + ")";
  if (sees_one_of("+?")) out += pattern_[at_++];
  if (sees_one_of("*+?{")) refuse(begin, "repeated once more; write a group (?:...) around it");
  return out;
}

std::string Translator::digits() {
  std::string out;
  while (!done() && is_digit(static_cast<unsigned char>(pattern_[at_]))) out += pattern_[at_++];
  return out;
}

std::string Translator::interval(bool& exact) {
  const std::size_t begin = at_++;
  const std::string least = digits();
  exact = !take(",");
  const std::string most = exact ? least : digits();
  if (!take("}") || (least.empty() && most.empty()))
    refuse(begin, "no {n}, {n,}, {n,m} or {,n}; write \\{ for the character");
  const auto number = [](const std::string& text) { return text.size() > 5 ? 100000 : std::stoi(text); };
  if (!most.empty() && (number(most) == 0 || number(most) < (least.empty() ? 0 : number(least))))
    refuse(begin, "it should count from the smaller number to the larger, and not to 0");
  if (exact) return "{" + least + "}";
  return "{" + (least.empty() ? "0" : least) + "," + most + "}";
}

std::optional<std::string> Translator::set(bool in_class) {
  const std::size_t begin = at_;
  const char letter = sees("\\") && at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
  if (letter == '\0' || !std::strchr("sSdDwWpP", letter)) return std::nullopt;
  at_ += 2;
  if (folds_ && letter != 's' && letter != 'd')
    refuse(begin, "where case does not matter, only \\s and \\d are supported");
  switch (letter) {
    case 's':
    case 'S':
      return letter == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
    case 'd':
    case 'D':
      return letter == 'd' ? "\\p{Nd}" : "\\P{Nd}";
    case 'w':
      return in_class ? std::string(kWord) : fmt::format("[{}]", kLoneWord);
    case 'W':
      if (in_class) refuse(begin, "in a class, write what it is");
      return fmt::format("[^{}]", kLoneWord);
    default:
      return property(begin);
  }
}

std::string Translator::property(std::size_t begin) {
  bool inverted = pattern_[begin + 1] == 'P';
  if (!take("{")) refuse(begin, "Oniguruma knows no properties without braces; write \\p{L}");
  if (!inverted) inverted = take("^");
  const std::size_t end = std::min(pattern_.find('}', at_), pattern_.size());
  const std::string name(pattern_.substr(at_, end - at_));
  at_ = std::min(end + 1, pattern_.size());
  const bool is_category = std::ranges::find(kCategories, name) != kCategories.end();
  const bool is_name =
      std::ranges::all_of(name, [](char c) { return is_letter(static_cast<unsigned char>(c)) || c == '_'; });
  if (name.size() < 3 && !is_category) refuse(begin, "no general category");
  if (!is_name) refuse(begin, "no general category and no script");
  // Without "sc:" PCRE2 counts the characters that other scripts share. It refuses what is no script.
  return fmt::format("\\{}{{{}{}}}", inverted ? 'P' : 'p', is_category ? "" : "sc:", name);
}

// Nothing, and nothing read, if no character is written there.
std::optional<char32_t> Translator::escaped_character() {
  static constexpr std::array<std::pair<char, char32_t>, 7> kLetters = {
      {{'t', 0x09}, {'n', 0x0A}, {'v', 0x0B}, {'f', 0x0C}, {'r', 0x0D}, {'a', 0x07}, {'e', 0x1B}}};
  const std::size_t begin = at_;
  if (at_ + 1 >= pattern_.size()) return std::nullopt;
  const auto letter = static_cast<unsigned char>(pattern_[at_ + 1]);
  at_ += 2;
  if (letter < 0x80 && !is_letter(letter) && !is_digit(letter)) return letter;
  for (const auto& [name, c] : kLetters)
    if (letter == static_cast<unsigned char>(name)) return c;
  if (letter == 'u') return code_point(begin, 4, 4);
  if (letter == 'x' && take("{")) {
    const char32_t c = code_point(begin, 1, 8);
    if (!take("}")) refuse(begin, "the brace is not closed");
    return c;
  }
  if (letter == 'x') {
    const char32_t c = code_point(begin, 2, 2);
    if (c >= 0x80) refuse(begin, "Oniguruma takes it for a byte; write \\x{...} for a character");
    return c;
  }
  at_ = begin;
  return std::nullopt;
}

char32_t Translator::code_point(std::size_t begin, std::size_t least, std::size_t most) {
  const std::string_view rest = pattern_.substr(at_, most);
  const std::size_t size = std::min(rest.find_first_not_of("0123456789abcdefABCDEF"), rest.size());
  at_ += size;
  if (size < least) refuse(begin, fmt::format("it should have {} hexadecimal digits", least));
  const auto c = static_cast<char32_t>(std::stoull(std::string(rest.substr(0, size)), nullptr, 16));
  if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) refuse(begin, "there is no such character");
  return c;
}

// All of a class behind "[" or "[^", with the "]". Classes in it are written out: they only add to it.
std::string Translator::members(std::size_t begin) {
  if (++depth_ > kMostNested) refuse(begin, fmt::format("it is deeper than {} groups", kMostNested));
  std::string out;
  for (bool first = true; !take("]"); first = false) {
    if (done()) refuse(begin, "the class is not closed");
    out += member(begin, first);
  }
  --depth_;
  if (out.empty()) refuse(begin, "the class is empty; write \\] for the character");
  return out;
}

std::string Translator::member(std::size_t begin_of_class, bool first) {
  const std::size_t begin = at_;
  for (const std::string_view other : {"[:", "[^", "&&"})
    if (take(other)) refuse(begin, "in a class; write out which characters are meant");
  if (take("[")) return members(begin);
  if (const auto text = set(true)) return *text;
  if (sees("-") && !first && !sees("-]")) refuse(begin, "a range of what? Write \\- for the character");
  const char32_t from = member_character();
  if (!sees("-") || sees("-]") || (first && pattern_[begin] == '-')) return spelled(from);
  ++at_;
  if (done()) refuse(begin_of_class, "the class is not closed");
  if (sees_one_of("[-") || set(true)) refuse(begin, "a range should go from a character to another");
  const char32_t to = member_character();
  if (to < from) refuse(begin, "the range goes from the larger character to the smaller");
  return spelled(from) + "-" + spelled(to);
}

char32_t Translator::member_character() {
  const std::size_t begin = at_;
  const bool escaped = sees("\\");
  const std::optional<char32_t> c = escaped ? escaped_character() : take_character();
  if (!c) {
    skip(2);
    refuse(begin, "this escape is not known to mean the same to Oniguruma and PCRE2 in a class");
  }
  if (folds_ && *c >= 0x80)
    refuse(begin, "where case does not matter, only characters of ASCII are supported");
  return *c;
}

}  // namespace

std::string to_pcre2(std::string_view pattern, std::string_view place) {
  return Translator(pattern, place).run();
}

}  // namespace trimtab
