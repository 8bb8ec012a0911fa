// SPDX-License-Identifier: Apache-2.0
//
// A fuzzer's bytes as a file, for readers that map one: it lies in memory and has a path as long as it lives.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/check.h"

namespace trimtab::fuzz {

class InputFile {
 public:
  InputFile(const std::uint8_t* data, std::size_t size) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    TT_CHECK(descriptor_ >= 0, "memfd_create failed");
    for (std::size_t done = 0; done < size;) {
      const ssize_t written = ::write(descriptor_, data + done, size - done);
      TT_CHECK(written > 0, "only {} of {} bytes fit into memory", done, size);
      done += static_cast<std::size_t>(written);
    }
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

}  // namespace trimtab::fuzz
