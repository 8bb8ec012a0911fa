// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizers/pattern.h"

#include <pcre2.h>

#include <array>

#include "data/tokenizers/oniguruma.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string reason(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

void Pattern::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
void Pattern::Scan::Free::operator()(pcre2_real_match_data_8* data) const { pcre2_match_data_free(data); }

Pattern::Pattern(std::string_view expression, std::string_view place) : place_(place) {
  const std::string ours = to_pcre2(expression, place);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Oniguruma's Ruby syntax ^ and $ match at each line. PCRE2 10.42 takes two properties that are not to
  // be had, as \P{Nd}+\P{Lu}, for sets without a common character, and so finds no way back from the first.
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_POSSESS, &error, &offset,
                            nullptr));
  if (!code_)
    fail_config("{}: the pattern '{}' cannot be read: {} (byte {} of '{}', which PCRE2 was given)", place,
                expression, reason(error), offset, ours);
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
