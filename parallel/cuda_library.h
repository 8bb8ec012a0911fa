// SPDX-License-Identifier: Apache-2.0
//
// LibTorch's CUDA library needs a driver and 4 GB of NVIDIA's libraries, so no program is linked with it: it
// is loaded by who asks for it, before anything else asks LibTorch about devices.
#pragma once

#include <string>

namespace trimtab {

// "" when it is loaded, or why it cannot be.
std::string load_torch_cuda();

}  // namespace trimtab
