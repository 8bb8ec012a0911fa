// SPDX-License-Identifier: Apache-2.0
//
// Hashes of files by which ranks see whether they have the same ones. Ranks of a host that see the same file
// read it once. Collective over `all`.
#pragma once

#include <functional>
#include <string>

#include "runtime/communicator.h"

namespace trimtab {

// What `hash` returns on the first of the ranks for which `path` leads to the same file or folder of the same
// host as for this one; the others do not call it. Not by the path: it may have been replaced meanwhile, or
// lead elsewhere in a container. Throws Error if nothing is there.
std::string shared_hash(Communicator& all, const std::string& path, const std::function<std::string()>& hash);

// SHA-256 of the program that this rank runs.
std::string program_hash(Communicator& all);

}  // namespace trimtab
