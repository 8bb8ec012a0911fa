// SPDX-License-Identifier: Apache-2.0
//
// A device for tests on machines that have none: LibTorch's backend for others ("PrivateUse1"), whose memory
// is the host's and whose operations are the CPU's, but which refuses operations on tensors of different
// devices as a GPU does. Linking fake_device.cc is enough to have it. There are as many as ranks may need,
// since autograd goes backward in one thread a device, where ranks of one would wait for each other.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace trimtab::test {

inline constexpr at::DeviceIndex kFakeDevices = 8;

inline at::Device fake_device(int index) { return {at::kPrivateUse1, static_cast<at::DeviceIndex>(index)}; }

inline const at::Device kFakeDevice = fake_device(0);

// How often the host asked for something that it could only have when the device had made all that was
// queued: a copy that is not queued itself, a number, a result whose size depends on values.
std::int64_t fake_device_waits();

}  // namespace trimtab::test
