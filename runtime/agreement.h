// SPDX-License-Identifier: Apache-2.0
//
// Short questions that ranks ask each other: control traffic, for what must not differ and for what one rank
// alone knows. All calls are collective over the communicator; on one rank they send nothing.
#pragma once

#include <string>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab {

// Whether any rank says yes.
bool any_of(Communicator& ranks, bool here);

// The texts of all ranks, in their order.
std::vector<std::string> gather_texts(Communicator& ranks, const std::string& here);

// The text of rank `root` of the communicator.
std::string text_of_rank(Communicator& ranks, const std::string& here, int root = 0);

// World ranks whose text is not that of the communicator's first rank.
std::vector<int> ranks_that_differ(Communicator& ranks, const std::string& here);

// Throws ConfigError on every rank, naming those whose `here` is not rank 0's, unless all ranks have the
// same. `what` is what is compared ("the experiment file"); `remedy` ends the message.
void require_same(Communicator& ranks, const std::string& what, const std::string& here,
                  const std::string& remedy);

// The same for short values, which the message tells: "WHAT is 'a' on rank 1, 3 and 'b' on rank 2, but 'c' on
// rank 0; REMEDY".
void require_same_value(Communicator& ranks, const std::string& what, const std::string& here,
                        const std::string& remedy);

}  // namespace trimtab
