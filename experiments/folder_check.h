// SPDX-License-Identifier: Apache-2.0
//
// Whether a folder is one and the same for all ranks: each writes a file of its own and looks for those of
// others. File systems of networks may show a new file late, hence the patience.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "runtime/communicator.h"

namespace trimtab {

struct FolderCheck {
  std::string fault;           // "" or what this rank cannot do or see, with the remedy
  double write_seconds = 0.0;  // of 1 MiB, until it lay on the device
  std::uint64_t free_bytes = 0;
};

// In FOLDER/MARK, which is made; `mark` is a name that nothing else has, the same on all ranks. Collective
// over `all`. Whoever calls removes FOLDER/MARK, on every rank, after all have returned.
FolderCheck check_shared_folder(Communicator& all, const std::string& folder, const std::string& mark,
                                std::chrono::milliseconds patience = std::chrono::seconds(3));

// Throws ConfigError on every rank, naming those that do not see in FOLDER what rank 0 writes there: a run
// whose ranks have folders of their own would go on from different states. Collective over `all`.
void require_shared_folder(Communicator& all, const std::string& folder,
                           std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace trimtab
