// SPDX-License-Identifier: Apache-2.0
//
// The heart of byte-pair encoding: which neighbours merge into what, and the merging of one word, best rank
// first and leftmost among equals. Time is n log n in the length of the word, whatever it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/tokenizer.h"

namespace trimtab {

struct MergeRule {
  TokenId left = 0;
  TokenId right = 0;
  TokenId merged = 0;
  std::uint32_t rank = 0;  // the lowest merges first
};

class MergeTable {
 public:
  // Of two rules for a pair the later one counts. Ids are 0 or more.
  explicit MergeTable(const std::vector<MergeRule>& rules);

  // What a call needs besides its word; one for each thread, so that no call allocates.
  class Workspace {
    friend class MergeTable;
    struct Candidate {
      std::uint32_t rank;
      std::uint32_t left;  // index of the left symbol
      TokenId merged;
      bool operator<(const Candidate& other) const;  // worse: std::push_heap keeps the greatest on top
    };
    std::vector<std::uint32_t> previous_;
    std::vector<std::uint32_t> next_;
    std::vector<Candidate> heap_;
  };
  // Merges the symbols of one word in place. Ids without any rule stay as they are; there are fewer than 2^32
  // - 1.
  void merge(std::vector<TokenId>& symbols, Workspace& workspace) const;

 private:
  struct Slot {
    std::uint64_t pair;
    std::uint32_t rank;
    TokenId merged;
  };
  std::size_t home(std::uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u) >> shift_; }
  // The rule of a pair, or null.
  const Slot* find(TokenId left, TokenId right) const;

  int shift_ = 63;
  std::vector<Slot> slots_;  // open addressing, at most half full
};

}  // namespace trimtab
