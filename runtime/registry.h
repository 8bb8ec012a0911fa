// SPDX-License-Identifier: Apache-2.0
//
// An explicit table from names to entries (factories, functions, descriptions), built once and only read
// afterwards. Tables are explicit because a table can be read, and because static libraries drop objects that
// nobody refers to.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {

template <class Entry>
class Registry {
 public:
  // `kind` says in messages what is being named, as in "tuning method".
  Registry(std::string kind, std::vector<std::pair<std::string, Entry>> entries)
      : kind_(std::move(kind)), entries_(std::move(entries)) {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        TT_CHECK(entries_[i].first != entries_[j].first, "{} '{}' is listed twice", kind_, entries_[i].first);
  }

  // Throws ConfigError that lists the known names and the nearest one. `where` goes in front of the message,
  // as in "run.yaml:4: method.name" (see Subtree::where).
  const Entry& find(std::string_view name, std::string_view where = "") const {
    for (const auto& [known, entry] : entries_)
      if (known == name) return entry;
    fail_config("{}{}unknown {} '{}'{} known: {}", where, where.empty() ? "" : ": ", kind_, name, hint(name),
                fmt::join(names(), ", "));
  }

  bool has(std::string_view name) const {
    for (const auto& item : entries_)
      if (item.first == name) return true;
    return false;
  }

  // In the order of the table.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    out.reserve(entries_.size());
    for (const auto& item : entries_) out.push_back(item.first);
    return out;
  }

  const std::vector<std::pair<std::string, Entry>>& entries() const { return entries_; }

 private:
  std::string hint(std::string_view name) const {
    const std::string text = did_you_mean(name, names());
    return text.empty() ? ";" : text;
  }

  std::string kind_;
  std::vector<std::pair<std::string, Entry>> entries_;
};

}  // namespace trimtab
