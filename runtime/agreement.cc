// SPDX-License-Identifier: Apache-2.0
#include "runtime/agreement.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "runtime/check.h"

namespace trimtab {

bool any_of(Communicator& ranks, bool here) {
  if (ranks.size() == 1) return here;
  std::int32_t yes = here ? 1 : 0;
  ranks.all_reduce({&yes, 1, DType::kInt32}, ReduceOp::kMax, Traffic::kControl);
  return yes != 0;
}

// Bytes travel in whole int32 words, all texts as long as the longest.
std::vector<std::string> gather_texts(Communicator& ranks, const std::string& here) {
  if (ranks.size() == 1) return {here};
  const auto count = static_cast<std::size_t>(ranks.size());
  const std::int64_t length = static_cast<std::int64_t>(here.size());
  std::vector<std::int64_t> lengths(count);
  ranks.all_gather({&length, 1, DType::kInt64}, {lengths.data(), ranks.size(), DType::kInt64},
                   Traffic::kControl);
  const std::int64_t words = (*std::ranges::max_element(lengths) + 3) / 4;
  std::vector<std::int32_t> mine(static_cast<std::size_t>(words)),
      all(static_cast<std::size_t>(words) * count);
  std::ranges::copy(here, reinterpret_cast<char*>(mine.data()));
  ranks.all_gather({mine.data(), words, DType::kInt32},
                   {all.data(), words * static_cast<std::int64_t>(count), DType::kInt32}, Traffic::kControl);
  std::vector<std::string> out;
  for (std::size_t rank = 0; rank < count; ++rank)
    out.emplace_back(reinterpret_cast<const char*>(all.data() + rank * static_cast<std::size_t>(words)),
                     static_cast<std::size_t>(lengths[rank]));
  return out;
}

std::string text_of_rank(Communicator& ranks, const std::string& here, int root) {
  return gather_texts(ranks, ranks.rank() == root ? here : "")[static_cast<std::size_t>(root)];
}

std::vector<int> ranks_that_differ(Communicator& ranks, const std::string& here) {
  const std::vector<std::string> all = gather_texts(ranks, here);
  std::vector<int> others;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] != all[0]) others.push_back(ranks.members()[i]);
  return others;
}

void require_same(Communicator& ranks, const std::string& what, const std::string& here,
                  const std::string& remedy) {
  const std::vector<int> others = ranks_that_differ(ranks, here);
  if (others.empty()) return;
  fail_config("{} of rank {} is not that of rank {}; {}", what, fmt::join(others, ", "), ranks.members()[0],
              remedy);
}

void require_same_value(Communicator& ranks, const std::string& what, const std::string& here,
                        const std::string& remedy) {
  const std::vector<std::string> all = gather_texts(ranks, here);
  std::map<std::string, std::vector<int>> others;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] != all[0]) others[all[i]].push_back(ranks.members()[i]);
  if (others.empty()) return;
  std::vector<std::string> told;
  for (const auto& [value, who] : others)
    told.push_back(fmt::format("'{}' on rank {}", value, fmt::join(who, ", ")));
  fail_config("{} is {}, but '{}' on rank {}; {}", what, fmt::join(told, " and "), all[0], ranks.members()[0],
              remedy);
}

}  // namespace trimtab
