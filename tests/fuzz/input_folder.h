// SPDX-License-Identifier: Apache-2.0
//
// A folder in memory for readers that want several files; one a process, which is removed at its end.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "runtime/check.h"

namespace trimtab::fuzz {

class InputFolder {
 public:
  InputFolder() {
    const bool shared = std::filesystem::exists("/dev/shm");
    std::string pattern = std::string(shared ? "/dev/shm" : "/tmp") + "/fuzz-XXXXXX";
    TT_CHECK(::mkdtemp(pattern.data()) != nullptr, "no folder {}", pattern);
    path_ = pattern;
  }
  ~InputFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  const std::string& path() const { return path_; }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream file(path_ + "/" + name, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::string path_;
};

}  // namespace trimtab::fuzz
