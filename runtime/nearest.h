// SPDX-License-Identifier: Apache-2.0
//
// The nearest known name to a misspelt one, for messages. Case is ignored and '-' equals '_'.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

// Insertions, deletions, replacements and swaps of neighbours that turn one name into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that `name` was probably meant to be, or "" when none is near enough to be worth naming: at
// most a third of the letters differ, or else it is the only candidate that begins with `name`.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'x'?" or "", to be put behind a message.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace trimtab
