// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/merge_table.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace trimtab {
namespace {

constexpr std::uint64_t kEmpty = ~std::uint64_t{0};  // no pair: ids are not negative
constexpr std::uint32_t kNone = ~std::uint32_t{0};
constexpr TokenId kGone = -1;  // a symbol that became part of its left neighbour

std::uint64_t pair_of(TokenId left, TokenId right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
}

}  // namespace

bool MergeTable::Workspace::Candidate::operator<(const Candidate& other) const {
  return std::tie(other.rank, other.left) < std::tie(rank, left);
}

MergeTable::MergeTable(const std::vector<MergeRule>& rules) {
  const std::size_t size = std::bit_ceil(2 * rules.size() + 2);
  shift_ = 64 - std::countr_zero(size);
  slots_.assign(size, {kEmpty, 0, 0});
  for (const MergeRule& rule : rules) {
    const std::uint64_t pair = pair_of(rule.left, rule.right);
    std::size_t at = home(pair);
    while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & (size - 1);
    slots_[at] = {pair, rule.rank, rule.merged};
  }
}

const MergeTable::Slot* MergeTable::find(TokenId left, TokenId right) const {
  const std::uint64_t pair = pair_of(left, right);
  for (std::size_t at = home(pair);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].pair == pair) return &slots_[at];
    if (slots_[at].pair == kEmpty) return nullptr;
  }
}

void MergeTable::merge(std::vector<TokenId>& symbols, Workspace& workspace) const {
  std::vector<std::uint32_t>& previous = workspace.previous_;
  std::vector<std::uint32_t>& next = workspace.next_;
  std::vector<Workspace::Candidate>& heap = workspace.heap_;
  const auto count = static_cast<std::uint32_t>(symbols.size());
  if (count < 2) return;
  previous.resize(count);
  next.resize(count);
  heap.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kNone : i - 1;
    next[i] = i + 1 == count ? kNone : i + 1;
    if (next[i] == kNone) break;
    if (const Slot* rule = find(symbols[i], symbols[i + 1])) heap.push_back({rule->rank, i, rule->merged});
  }
  std::make_heap(heap.begin(), heap.end());
  const auto offer = [&](std::uint32_t left, std::uint32_t right) {
    const Slot* rule = find(symbols[left], symbols[right]);
    if (rule == nullptr) return;
    heap.push_back({rule->rank, left, rule->merged});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Workspace::Candidate best = heap.back();
    heap.pop_back();
    const std::uint32_t left = best.left, right = next[left];
    if (symbols[left] == kGone || right == kNone) continue;
    // The neighbours may have changed since the offer.
    const Slot* rule = find(symbols[left], symbols[right]);
    if (rule == nullptr || rule->merged != best.merged) continue;
    symbols[left] = best.merged;
    symbols[right] = kGone;
    next[left] = next[right];
    if (next[left] != kNone) {
      previous[next[left]] = left;
      offer(left, next[left]);
    }
    if (previous[left] != kNone) offer(previous[left], left);
  }
  std::erase(symbols, kGone);
}

}  // namespace trimtab
