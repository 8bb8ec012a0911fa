// SPDX-License-Identifier: Apache-2.0
//
// The device that the tests of this folder are about. cuda_device.cc is the first GPU; stand_in_device.cc is
// the device of tests/models/fake_device.h with the attention kernel run by the host, so that the tests
// themselves are tested where there is no GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/ops/ragged_types.h"

namespace trimtab::test {

// "" or why there is none; called before anything else.
std::string no_device();
at::Device device_under_test();
const ragged::Launcher& attention_of_device();

}  // namespace trimtab::test
