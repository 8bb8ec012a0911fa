// SPDX-License-Identifier: Apache-2.0
//
// What the host makes for a micro-batch (ids, offsets, masks), on the device of the stage. LibTorch's own
// `to` waits until the device has made all that was queued before the copy, so the device would then stand
// idle until the host has queued more: once for every index of every layer.
#pragma once

#include <ATen/core/Tensor.h>

namespace trimtab {

// A tensor of the host on `device`, copied when the device comes to it; what is there already is returned
// as it is. The caller need not keep `tensor`, but must not write into it.
at::Tensor upload(const at::Tensor& tensor, at::Device device);

}  // namespace trimtab
