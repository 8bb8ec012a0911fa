// SPDX-License-Identifier: Apache-2.0
//
// Hashes of files by which ranks see whether they have the same ones. Ranks of a host that see the same file
// read it once. Collective over `all`.
#pragma once

#include <functional>
#include <string>

#include "runtime/communicator.h"

namespace trimtab {

// What `hash` returns on the first of the ranks that have this rank's host and `place`, which names a file
// there; the others do not call it.
std::string shared_hash(Communicator& all, const std::string& place,
                        const std::function<std::string()>& hash);

// SHA-256 of the program that this rank runs.
std::string program_hash(Communicator& all);

}  // namespace trimtab
