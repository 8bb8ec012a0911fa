// SPDX-License-Identifier: Apache-2.0
//
// A run folder is worked on by one process at a time.
#pragma once

#include <optional>
#include <string>

#include "experiments/run_record.h"
#include "runtime/atomic_file.h"
#include "runtime/file_lock.h"

namespace trimtab {

// Nothing if somebody else is at it. Makes the folder if need be; errors: see check_writable_folder,
// FileLock.
inline std::optional<FileLock> try_lock_run(const std::string& folder) {
  check_writable_folder(folder, 0);
  return FileLock::try_take(RunFolder(folder).lock());
}

// Who is at it; "" for nobody.
inline std::string lock_holder(const std::string& folder) {
  return FileLock::holder(RunFolder(folder).lock());
}

}  // namespace trimtab
