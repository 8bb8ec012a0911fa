// SPDX-License-Identifier: Apache-2.0
//
// Blocks of tensors on the host: aligned, and used again by tensors of the same size.
#include "experiments/host_allocator.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace trimtab {
namespace {

TEST(HostAllocator, TensorsAreAlignedAndKeepWhatTheyHold) {
  use_host_allocator();
  use_host_allocator();
  for (const std::int64_t size : {1, 3, 17, 1000, 70001, 3000001}) {
    at::Tensor x = at::arange(size, at::kFloat);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 64, 0U) << size;
    x.resize_({2 * size});
    EXPECT_EQ(x[size - 1].item<float>(), static_cast<float>(size - 1)) << "grown in place or copied";
  }
  EXPECT_EQ(at::empty({0}).numel(), 0);
  EXPECT_THROW((void)c10::GetCPUAllocator()->allocate(SIZE_MAX - 8), std::bad_alloc);
}

// Small blocks that stay come between those of tensors, as names and nodes of a graph do, and would have the
// slivers that an aligned block leaves in LibTorch's own allocator: each round would then take new memory.
TEST(HostAllocator, AFreedBlockFitsTheNextTensorOfItsSize) {
  use_host_allocator();
  std::vector<std::unique_ptr<std::vector<char>>> stay;
  const auto round = [&] {
    std::vector<at::Tensor> tensors;
    for (int i = 0; i < 64; ++i) {
      tensors.push_back(at::empty({100000}, at::kFloat));
      stay.push_back(std::make_unique<std::vector<char>>(40));
    }
  };
  round();
  const std::size_t before = mallinfo2().arena;
  for (int i = 0; i < 20; ++i) round();
  EXPECT_LT(mallinfo2().arena, before + (std::size_t{16} << 20)) << "a round's tensors are 26 MB";
}

}  // namespace
}  // namespace trimtab
