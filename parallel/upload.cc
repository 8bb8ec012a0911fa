// SPDX-License-Identifier: Apache-2.0
#include "parallel/upload.h"

#include <ATen/ATen.h>

namespace trimtab {

at::Tensor upload(const at::Tensor& tensor, at::Device device) {
  if (!tensor.is_cpu() || device.is_cpu()) return tensor.to(device);
  // A GPU copies by itself from pinned memory only; LibTorch keeps that until the copy is made.
  const at::Tensor source = device.is_cuda() ? tensor.pin_memory() : tensor;
  return source.to(device, tensor.scalar_type(), /*non_blocking=*/true);
}

}  // namespace trimtab
