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

// Runs the steps in their order. Nothing is put in front of an empty text.
std::string normalized(const std::vector<NormalizerStep>& steps, std::string_view text);

}  // namespace trimtab
