// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizers/pattern.h"

#include <pcre2.h>

#include <array>

#include "runtime/check.h"

namespace trimtab {
namespace {

std::string reason(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// PCRE2 counts U+180E, which Unicode took out of White_Space, as \s. \h is a hexadecimal digit to Oniguruma,
// and && cuts two classes.
std::string translated(std::string_view expression, std::string_view place) {
  std::string out;
  for (std::size_t at = 0; at < expression.size(); ++at) {
    if (expression.substr(at).starts_with("&&"))
      fail_config("{}: the pattern '{}' cuts classes by &&, which is not supported", place, expression);
    if (expression[at] != '\\' || at + 1 == expression.size()) {
      out += expression[at];
      continue;
    }
    switch (const char letter = expression[++at]) {
      case 's':
        out += "\\p{White_Space}";
        break;
      case 'S':
        out += "\\P{White_Space}";
        break;
      case 'h':
      case 'H':
      case 'K':
      case 'C':
        fail_config("{}: the pattern '{}' has \\{}, which is not supported", place, expression, letter);
      default:
        out.append({'\\', letter});
    }
  }
  return out;
}

}  // namespace

void Pattern::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
void Pattern::Scan::Free::operator()(pcre2_real_match_data_8* data) const { pcre2_match_data_free(data); }

Pattern::Pattern(std::string_view expression, std::string_view place) : place_(place) {
  const std::string ours = translated(expression, place);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Oniguruma's Ruby syntax ^ and $ match at each line.
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                            &offset, nullptr));
  if (!code_) fail_config("{}: the pattern '{}' cannot be read: {}", place, expression, reason(error));
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(code_.get(), PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0)
    fail_config("{}: the pattern '{}' matches an empty text, which is not supported", place, expression);
  // Where there is no just-in-time compiler, matching is slower and the same.
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
}

Pattern::Scan::Scan(const Pattern& pattern, std::string_view text)
    : pattern_(pattern), text_(text), found_(pcre2_match_data_create(1, nullptr)) {
  TT_CHECK(found_ != nullptr, "{}: no memory for a match", pattern.place_);
}

bool Pattern::Scan::next() {
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(pattern_.code_.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), end_,
                       PCRE2_NO_UTF_CHECK | options, found_.get(), nullptr);
  };
  int matched = match(0);
  // Compiled code keeps its way back on a stack of 32 KiB, the interpreter on the heap.
  if (matched == PCRE2_ERROR_JIT_STACKLIMIT) matched = match(PCRE2_NO_JIT);
  if (matched == PCRE2_ERROR_NOMATCH) return false;
  if (matched < 0)
    fail("{}: splitting a text of {} bytes failed at byte {}: {}", pattern_.place_, text_.size(), end_,
         reason(matched));
  const PCRE2_SIZE* edges = pcre2_get_ovector_pointer(found_.get());
  TT_CHECK(edges[0] >= end_ && edges[1] > edges[0], "{}: match [{}, {}) after {}", pattern_.place_, edges[0],
           edges[1], end_);
  begin_ = edges[0];
  end_ = edges[1];
  return true;
}

}  // namespace trimtab
