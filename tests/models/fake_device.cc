// SPDX-License-Identifier: Apache-2.0
#include "models/fake_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_local_scalar_dense_cpu_dispatch.h>
#include <ATen/ops/_reshape_alias_cpu_dispatch.h>
#include <ATen/ops/as_strided_cpu_dispatch.h>
#include <ATen/ops/set_cpu_dispatch.h>
#include <ATen/ops/unfold_cpu_dispatch.h>
#include <ATen/ops/view_cpu_dispatch.h>
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace trimtab::test {
namespace {

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

// Of this thread, as CUDA has it.
thread_local at::DeviceIndex current = 0;

// On the current device.
class FakeAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    return {memory, memory, &std::free, fake_device(current)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

FakeAllocator& allocator() {
  static FakeAllocator one;
  return one;
}

// Makes the device of what is allocated the current one.
class On {
 public:
  explicit On(std::optional<at::Device> device) : before_(current) {
    if (device && device->has_index()) current = device->index();
  }
  ~On() { current = before_; }
  On(const On&) = delete;
  On& operator=(const On&) = delete;

 private:
  at::DeviceIndex before_;
};

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  const On on(device);
  return at::detail::empty_generic(size, &allocator(), kKeys, dtype.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  const On on(device);
  return at::detail::empty_strided_generic(size, stride, &allocator(), kKeys, dtype.value_or(at::kFloat));
}

// The same memory as a tensor of the host.
at::Tensor on_host(const at::Tensor& x) {
  if (x.is_cpu()) return x;
  return at::from_blob(x.data_ptr(), x.sizes(), x.strides(), x.scalar_type());
}

// What an operation of the CPU copies on behalf of a device is no wait of a real one.
std::atomic<std::int64_t> all_waits = 0;
thread_local bool inside_operation = false;
void count_wait() {
  if (!inside_operation) ++all_waits;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (from.is_cpu() != to.is_cpu() && !non_blocking) count_wait();
  on_host(to).copy_(on_host(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (from.sizes() != to.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

const at::Tensor& resize(const at::Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  const On on(self.device());
  auto* impl = self.unsafeGetTensorImpl();
  const std::vector<std::int64_t> sizes = C10_AS_INTARRAYREF_SLOW(size).vec();
  impl->set_sizes_contiguous(sizes);
  const std::size_t bytes = static_cast<std::size_t>(impl->numel()) * impl->itemsize();
  if (impl->storage().nbytes() < bytes) {
    impl->unsafe_storage().set_data_ptr_noswap(allocator().allocate(bytes));
    impl->unsafe_storage().set_nbytes(bytes);
  }
  return self;
}

// Tensors of more than one number must lie together; a number alone may come from anywhere.
void refuse_mixed(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  const std::size_t arguments = op.schema().arguments().size();
  const auto check = [&](const at::Tensor& x) {
    if (x.defined() && x.is_cpu() && x.dim() > 0)
      TORCH_CHECK(false, op.schema().name(), ": a tensor of the host among those of the device");
  };
  for (std::size_t i = stack.size() - arguments; i < stack.size(); ++i) {
    if (stack[i].isTensor()) check(stack[i].toTensor());
    if (stack[i].isTensorList())
      for (const at::Tensor& x : stack[i].toTensorVector()) check(x);
  }
}

// Operations whose result has a size that only the device knows.
bool has_unknown_size(const c10::OperatorHandle& op) {
  constexpr std::array kNames = {"aten::nonzero",    "aten::masked_select",      "aten::_unique2",
                                 "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave"};
  return std::ranges::find(kNames, op.schema().name()) != kNames.end();
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  refuse_mixed(op, *stack);
  if (has_unknown_size(op)) count_wait();
  const bool before = std::exchange(inside_operation, true);
  at::native::cpu_fallback(op, stack);
  inside_operation = before;
}

// Autograd asks whether the device is there.
struct FakeHooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
  bool isAvailable() const override { return true; }
  bool isBuilt() const override { return true; }
};

const bool registered = [] {
  static FakeHooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::register_privateuse1_backend("fake");
  return true;
}();

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("resize_", resize);
  m.impl("view", static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef)>(&at::cpu::view));
  m.impl("as_strided", static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef, at::IntArrayRef,
                                                  std::optional<std::int64_t>)>(&at::cpu::as_strided));
  m.impl("_reshape_alias", static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef, at::IntArrayRef)>(
                               &at::cpu::_reshape_alias));
  m.impl("_local_scalar_dense", [](const at::Tensor& x) {
    count_wait();
    return on_host(x).item();
  });
}

at::DeviceIndex current_fake_device() { return current; }
std::int64_t fake_device_waits() { return all_waits; }
void set_fake_device(at::DeviceIndex index) {
  if (index >= 0) current = index;
}

}  // namespace trimtab::test

namespace c10::impl {

// What is queued is done: events and streams have nothing to wait for.
struct FakeGuard final : NoOpDeviceGuardImpl<DeviceType::PrivateUse1> {
  Device exchangeDevice(Device device) const override {
    const Device before = getDevice();
    setDevice(device);
    return before;
  }
  Device getDevice() const override {
    return trimtab::test::fake_device(trimtab::test::current_fake_device());
  }
  void setDevice(Device device) const override { trimtab::test::set_fake_device(device.index()); }
  void uncheckedSetDevice(Device device) const noexcept override { setDevice(device); }
  DeviceIndex deviceCount() const noexcept override { return trimtab::test::kFakeDevices; }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, getDevice()); }
  Stream getNewStream(Device, int) const override { return Stream(Stream::DEFAULT, getDevice()); }
  Stream exchangeStream(Stream) const noexcept override { return Stream(Stream::DEFAULT, getDevice()); }
  void record(void**, const Stream&, const DeviceIndex, const EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, FakeGuard);

}  // namespace c10::impl
