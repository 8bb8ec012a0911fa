// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions of tokenizers, through PCRE2. They are written for Oniguruma, as Hugging Face uses it:
// oniguruma.h says which are translated, and which refused.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

namespace trimtab {

class Pattern {
 public:
  // `place` is for messages. Throws ConfigError for what is no expression, means something else to PCRE2 than
  // to Oniguruma, or matches nothing at all.
  Pattern(std::string_view expression, std::string_view place);

  // The matches in one text, from left to right. Pattern and text must outlive this.
  class Scan {
   public:
    // `text` is well-formed UTF-8.
    Scan(const Pattern& pattern, std::string_view text);
    // False where there is no further match. Throws Error if PCRE2 gives up.
    bool next();
    std::size_t begin() const { return begin_; }
    std::size_t end() const { return end_; }

   private:
    struct Free {
      void operator()(pcre2_real_match_data_8* data) const;
    };
    const Pattern& pattern_;
    std::string_view text_;
    std::unique_ptr<pcre2_real_match_data_8, Free> found_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
  };

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::string place_;
  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

}  // namespace trimtab
