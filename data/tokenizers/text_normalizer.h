// SPDX-License-Identifier: Apache-2.0
//
// What is done to a text before it is cut: Unicode's form C, and SentencePiece's way with blanks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

struct NormalizerStep {
  enum class Kind { kNfc, kPrepend, kReplace };
  Kind kind = Kind::kNfc;
  std::string text{};  // what to prepend, or to replace
  std::string by{};    // what to put in its place
};

// Each `what` of a text replaced; it ends early where it has become longer than `most`.
std::string replaced(std::string_view text, std::string_view what, std::string_view by,
                     std::size_t most = std::string::npos);

// Runs the steps in their order. Nothing is put in front of an empty text. Throws Error that names `place`
// and the step if a text becomes more than 64 times as long and 4 KiB: replacements of replacements would
// soon fill any memory, and no tokenizer in use makes more than three bytes of one.
std::string normalized(const std::vector<NormalizerStep>& steps, std::string_view text,
                       std::string_view place);

}  // namespace trimtab
