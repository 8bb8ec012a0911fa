// SPDX-License-Identifier: Apache-2.0
//
// All ranks of a job do the same. Ranks that were started with other verbs or flags, as by wrapper scripts
// that do not hand on what they are given, would make other calls and read one message as another, so that
// this is compared before anything else.
#pragma once

#include <string>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab {

// Of this process, the program first.
std::vector<std::string> command_line();

// Throws ConfigError on every rank, with ranks and both lines, unless verb and arguments are the same on all.
// What --set says is left to the experiments, which are compared key by key. Collective.
void require_same_command(Communicator& all, const std::vector<std::string>& command);

}  // namespace trimtab
