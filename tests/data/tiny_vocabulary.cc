// SPDX-License-Identifier: Apache-2.0
#include "data/tiny_vocabulary.h"

#include <array>

namespace trimtab {

std::string tiny_text() {
  constexpr std::array kWords = {
      "the",      "ship",        "turns",    "into",     "a",       "quiet",    "harbour",   "where",
      "small",    "boats",       "wait",     "for",      "wind",    "and",      "sailors",   "mend",
      "nets",     "under",       "grey",     "light",    "while",   "gulls",    "circle",    "above",
      "old",      "stone",       "walls",    "that",     "keep",    "waves",    "out",       "rudder",
      "trim",     "tab",         "hand",     "moves",    "whole",   "hull",     "slowly",    "positive",
      "true",     "false",       "yes",      "no",       "deep",    "answer",   "question",  "prompt",
      "turned",   "turning",     "harbours", "sailor",   "boat",    "winding",  "moved",     "moving",
      "lights",   "stones",      "walling",  "waved",    "hands",   "answers",  "questions", "prompts",
      "slow",     "light-house", "morning",  "evening",  "summer",  "winter",   "market",    "village",
      "children", "garden",      "window",   "river",    "forest",  "mountain", "letter",    "paper",
      "story",    "teacher",     "doctor",   "music",    "water",   "bread",    "silver",    "copper",
      "golden",   "captain",     "anchor",   "compass",  "lantern", "distance", "number",    "language",
      "machine",  "model",       "weight",   "gradient", "memory",  "process",  "rank",      "column",
      "row"};
  std::string text;
  std::size_t state = 1;
  for (int line = 0; line < 300; ++line) {
    for (int word = 0; word < 12; ++word) {
      state = (state * 48271) % 2147483647;
      if (word > 0) text += ' ';
      text += kWords[state % kWords.size()];
    }
    text += line % 10 == 9 ? ".\n\n" : ".\n";
  }
  return text;
}

std::string train_tiny(const TempFolder& folder, const std::string& name) {
  VocabularyOptions options;
  options.files = {folder.write("tiny.txt", tiny_text())};
  options.size = kTinyPieces;
  options.out = folder.file(name);
  train_vocabulary(options);
  return options.out;
}

}  // namespace trimtab
