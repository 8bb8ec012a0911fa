// SPDX-License-Identifier: Apache-2.0
#include "experiments/scratch_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "runtime/check.h"

namespace trimtab {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  const fs::path parent = fs::temp_directory_path();
  std::string pattern = (parent / "trimtab-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    fail("cannot make a folder in {}; set TMPDIR to one where it can", parent.string());
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace trimtab
