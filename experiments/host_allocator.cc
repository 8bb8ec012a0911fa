// SPDX-License-Identifier: Apache-2.0
//
// LibTorch takes its blocks from posix_memalign(), for which the C library (before glibc 2.38) asks for a
// block that is longer by the alignment, cuts off what is too much at both ends, and lets small blocks have
// the slivers. Freed, it is too short for the next tensor of the same size, which takes new memory: the heap
// of a run whose micro-batches differ grows to several times what is in use. Here the alignment stays in the
// block, and sizes are rounded up to few.
#include "experiments/host_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>

namespace trimtab {
namespace {

constexpr std::size_t kAlignment = 64;  // of a cache line and of AVX-512, as LibTorch's own
constexpr std::size_t kSteps = 16;      // sizes between a power of two and the next

std::size_t rounded(std::size_t bytes) {
  // What is asked for as a negative number must not come round to a small block.
  if (bytes > std::numeric_limits<std::ptrdiff_t>::max() / 2) throw std::bad_alloc();
  const std::size_t step = std::bit_floor(bytes) / kSteps;
  if (step <= kAlignment) return bytes;
  return (bytes + step - 1) / step * step;
}

// malloc() aligns to 16, so that there is room for its pointer before the data.
void* take(std::size_t bytes) {
  void* block = std::malloc(rounded(bytes) + kAlignment);
  if (block == nullptr) throw std::bad_alloc();
  const std::uintptr_t data =
      (reinterpret_cast<std::uintptr_t>(block) + kAlignment) / kAlignment * kAlignment;
  void** const aligned = reinterpret_cast<void**>(data);
  aligned[-1] = block;
  return aligned;
}

void give_back(void* data) {
  if (data != nullptr) std::free(static_cast<void**>(data)[-1]);
}

class HostAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

}  // namespace

void use_host_allocator() {
  static HostAllocator allocator;
  static std::once_flag once;
  std::call_once(once, [] {
    c10::SetCPUAllocator(&allocator);
    // mallopt knows ints only; 1 GiB is above every temporary of a step. Older C libraries allow 32 MiB at
    // most.
    if (mallopt(M_MMAP_THRESHOLD, 1 << 30) == 0) mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  });
}

void give_back_freed() { malloc_trim(0); }

}  // namespace trimtab
