// SPDX-License-Identifier: Apache-2.0
//
// What other frameworks call our keys, so that somebody who brings a habit is told the name that holds here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

// The dotted keys that a foreign key may stand for, the likeliest first. Case is ignored and '-' equals '_'.
std::vector<std::string> keys_for_foreign(std::string_view key);

}  // namespace trimtab
