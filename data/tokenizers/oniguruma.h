// SPDX-License-Identifier: Apache-2.0
//
// Patterns of tokenizers are written for Oniguruma, in Ruby's syntax, as Hugging Face's `tokenizers` uses it,
// and run by PCRE2. Much of what both accept they read differently, and then ids are others without a word.
// So this is a list of what may stand in a pattern, not of what may not: what means the same is passed on,
// what can be said exactly is translated, and anything else is refused.
#pragma once

#include <string>
#include <string_view>

namespace trimtab {

// The pattern for PCRE2 with UTF, UCP and MULTILINE, where it matches what Oniguruma does. `place` is for
// messages. Throws ConfigError that names the construct and where it stands.
//
//   characters    any; \ before punctuation; \t \n \v \f \r \a \e \xHH (ASCII) \x{H...} \uHHHH
//   sets          . \s \S \d \D \w \W; [...] with ranges, other sets and classes in it, [^...];
//                 \p{...} \P{...} \p{^...} of general categories, scripts, Any and White_Space
//   places        ^ $ \A \z \Z \b \B (?=...) (?!...) (?<=...) (?<!...)
//   groups        (...) (?:...) (?>...) | (?i:...) (?i)
//   repetition    * + ? {n} {n,} {n,m} {,n}, lazy with ?, possessive with + but for braces
std::string to_pcre2(std::string_view pattern, std::string_view place);

}  // namespace trimtab
