// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace trimtab {

// A folder of this process among the system's temporary files, there as long as this object.
class ScratchFolder {
 public:
  // Throws Error that names the place where it cannot be made.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace trimtab
