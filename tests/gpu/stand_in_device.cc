// SPDX-License-Identifier: Apache-2.0
#include "gpu/device_under_test.h"
#include "models/fake_device.h"
#include "models/ops/host_launcher.h"

namespace trimtab::test {

std::string no_device() { return ""; }

at::Device device_under_test() { return kFakeDevice; }

const ragged::Launcher& attention_of_device() {
  static const HostLauncher launcher;
  return launcher;
}

}  // namespace trimtab::test
