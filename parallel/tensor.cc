// SPDX-License-Identifier: Apache-2.0
#include "parallel/tensor.h"

#include <cstddef>

#include "runtime/check.h"

namespace trimtab {
namespace {

// Stands for the memory of tensors that have none: a communicator that only counts reads nothing of it.
std::byte no_memory{};

}  // namespace

at::ScalarType scalar_type(DType type) {
  switch (type) {
    case DType::kFloat32:
      return at::kFloat;
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt64:
      return at::kLong;
  }
  fail("element type {} has no tensor type", static_cast<int>(type));
}

DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::kFloat32;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kInt:
      return DType::kInt32;
    case at::kLong:
      return DType::kInt64;
    default:
      fail("tensors of type {} can be neither sent nor stored", at::toString(tensor.scalar_type()));
  }
}

Buffer buffer_of(const at::Tensor& tensor) {
  TT_CHECK(tensor.is_contiguous(), "only contiguous tensors have a buffer");
  if (tensor.is_meta()) return {&no_memory, tensor.numel(), dtype_of(tensor)};
  return {tensor.data_ptr(), tensor.numel(), dtype_of(tensor),
          tensor.is_cpu() ? DeviceKind::kHost : DeviceKind::kCuda};
}

}  // namespace trimtab
