// SPDX-License-Identifier: Apache-2.0
//
// A device for tests on machines that have none: LibTorch's backend for others ("PrivateUse1"), whose memory
// is the host's and whose operations are the CPU's, but which refuses operations on tensors of different
// devices as a GPU does. Linking fake_device.cc is enough to have it.
#pragma once

#include <c10/core/Device.h>

namespace trimtab::test {

inline const at::Device kFakeDevice{at::kPrivateUse1, 0};

}  // namespace trimtab::test
