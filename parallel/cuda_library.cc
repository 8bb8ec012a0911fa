// SPDX-License-Identifier: Apache-2.0
#include "parallel/cuda_library.h"

#include <dlfcn.h>

namespace trimtab {

std::string load_torch_cuda() {
  for (const char* library : {"libc10_cuda.so", "libtorch_cuda.so"})
    if (dlopen(library, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* reason = dlerror();
      return reason == nullptr ? library : reason;
    }
  return "";
}

}  // namespace trimtab
