// SPDX-License-Identifier: Apache-2.0
//
// Ranks with a GPU each, for device memory, over NCCL: a library of its own (trimtab::nccl) that exists where
// the CUDA toolkit and NCCL do. Calls are queued on one stream and return before they are done, as kernels
// do; only barrier(), settle() and the destructor wait.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "runtime/communicator.h"
#include "runtime/shared_queue.h"
#include "runtime/world.h"

namespace trimtab {

struct NcclOptions {
  // A cudaStream_t; null is the legacy default stream, on which LibTorch computes unless told otherwise.
  void* stream = nullptr;
  // Bounds each wait of the host for the device; then the communicator is aborted and DeadlineExceeded
  // thrown.
  std::chrono::milliseconds deadline = std::chrono::minutes(30);
  // Of all communicators on the stream, each of which can hold up the others; null: there is no other.
  std::shared_ptr<SharedQueue> queue{};
};

// Makes this process compute on the device-th of the GPUs that it sees. Throws ConfigError if there is none.
void use_device(int device);

// How many GPUs this process sees. Throws ConfigError with CUDA's reason when it cannot tell.
int visible_devices();

// The one that this process computes on.
struct DeviceName {
  int index = 0;      // among those that it sees
  std::string model;  // "NVIDIA H100 80GB HBM3"
  std::string bus;    // its place in the host: different for different devices
};
DeviceName current_device();

// NCCL over the ranks of `control`, which carries the id of the new communicator, and whatever is in host
// memory from then on. Collective over
// them; each rank has chosen its device. What differs from host memory: sums are in NCCL's order, bfloat16
// is rounded at each hop, and a failure of a call may show in a later one. Failures of other ranks come as
// PeerFailure of rank -1, since NCCL does not say whose it is; after one, every call throws it again.
std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> control,
                                                const NcclOptions& options = {});

// What World asks for: communicators that share a queue, a new one unless it is given.
DeviceCommunicatorMaker nccl_communicators(const NcclOptions& options = {});

// "2.28.9", of the library that runs.
std::string nccl_version();

}  // namespace trimtab
