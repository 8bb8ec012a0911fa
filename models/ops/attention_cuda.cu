// SPDX-License-Identifier: Apache-2.0
//
// One block of threads for each (tile, head, row) of models/ops/ragged_attention.h; those of rows that are
// shorter than the longest end at once. Neither fmt nor LibTorch is included: nvcc would compile their
// headers twice.
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "models/ops/attention_cuda.h"
#include "models/ops/ragged_attention.h"

namespace trimtab {
namespace {

using ragged::kThreads;

// The threads of this block.
template <class State>
class DeviceTeam {
 public:
  template <class Phase>
  TT_HOST_DEVICE void each(const Phase& phase) {
#if defined(__CUDA_ARCH__)
    phase(static_cast<int>(threadIdx.x), state_);
    __syncthreads();
#endif
  }

 private:
  State state_;
};

template <class Shared>
__device__ Shared& shared_memory() {
  extern __shared__ float memory[];
  return *reinterpret_cast<Shared*>(memory);
}

template <int kWidth, int kTile, class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(ragged::Input<T> in, ragged::Output<T> to) {
  DeviceTeam<ragged::ForwardState<kWidth, kTile>> team;
  ragged::forward_block(in, to, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                        static_cast<int>(blockIdx.x), shared_memory<ragged::ForwardShared<kWidth, kTile>>(),
                        team);
}

template <class T>
__global__ void __launch_bounds__(kThreads) delta_kernel(ragged::Setting setting, ragged::Gradients<T> g) {
  const std::int64_t token = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (token < g.tokens) ragged::delta_of(setting, g, token, static_cast<int>(blockIdx.y));
}

template <int kWidth, int kTile, class T>
__global__ void __launch_bounds__(kThreads) key_gradient_kernel(ragged::Input<T> in, ragged::Gradients<T> g) {
  DeviceTeam<ragged::KeyState<kWidth, kTile>> team;
  ragged::key_gradient_block(in, g, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                             static_cast<int>(blockIdx.x),
                             shared_memory<ragged::BackwardShared<kWidth, kTile>>(), team);
}

template <int kWidth, int kTile, class T>
__global__ void __launch_bounds__(kThreads)
    query_gradient_kernel(ragged::Input<T> in, ragged::Gradients<T> g) {
  DeviceTeam<ragged::QueryState<kWidth, kTile>> team;
  ragged::query_gradient_block(in, g, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                               static_cast<int>(blockIdx.x),
                               shared_memory<ragged::BackwardShared<kWidth, kTile>>(), team);
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string("the attention kernel, ") + what + ": " + cudaGetErrorString(status));
}

// Blocks with more shared memory than 48 KB must say so first.
template <class Shared, class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int tiles, int heads, int rows, const char* what,
            const Arguments&... arguments) {
  if (tiles == 0 || rows == 0) return;
  constexpr int kBytes = static_cast<int>(sizeof(Shared));
  static_assert(kBytes <= 163 * 1024, "more than a block of compute capability 8.0 may have");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes), what);
  const dim3 blocks(static_cast<unsigned>(tiles), static_cast<unsigned>(heads), static_cast<unsigned>(rows));
  kernel<<<blocks, kThreads, kBytes>>>(arguments...);
  check(cudaGetLastError(), what);
}

class CudaLauncher : public ragged::Launcher {
 public:
  void forward(const ragged::Input<float>& in, const ragged::Output<float>& to,
               const ragged::Extent& extent) const override {
    run_forward(in, to, extent);
  }
  void forward(const ragged::Input<ragged::Bfloat16>& in, const ragged::Output<ragged::Bfloat16>& to,
               const ragged::Extent& extent) const override {
    run_forward(in, to, extent);
  }
  void backward(const ragged::Input<float>& in, const ragged::Gradients<float>& to,
                const ragged::Extent& extent) const override {
    run_backward(in, to, extent);
  }
  void backward(const ragged::Input<ragged::Bfloat16>& in, const ragged::Gradients<ragged::Bfloat16>& to,
                const ragged::Extent& extent) const override {
    run_backward(in, to, extent);
  }

 private:
  template <class T>
  static void run_forward(const ragged::Input<T>& in, const ragged::Output<T>& to,
                          const ragged::Extent& extent) {
    ragged::with_sizes(in.setting.width, [&](auto sizes) {
      constexpr int kWidth = decltype(sizes)::kWidth, kTile = decltype(sizes)::kForward;
      launch<ragged::ForwardShared<kWidth, kTile>>(&forward_kernel<kWidth, kTile, T>,
                                                   ragged::tiles_of(extent.longest_queries, kTile),
                                                   in.setting.heads, in.setting.rows, "forward", in, to);
    });
  }

  template <class T>
  static void run_backward(const ragged::Input<T>& in, const ragged::Gradients<T>& g,
                           const ragged::Extent& extent) {
    const ragged::Setting& s = in.setting;
    const dim3 blocks(static_cast<unsigned>(ragged::tiles_of(extent.query_tokens, kThreads)),
                      static_cast<unsigned>(s.heads));
    if (extent.query_tokens > 0) delta_kernel<<<blocks, kThreads>>>(s, g);
    check(cudaGetLastError(), "delta");
    ragged::with_sizes(s.width, [&](auto sizes) {
      constexpr int kWidth = decltype(sizes)::kWidth, kTile = decltype(sizes)::kBackward;
      using Shared = ragged::BackwardShared<kWidth, kTile>;
      launch<Shared>(&key_gradient_kernel<kWidth, kTile, T>, ragged::tiles_of(extent.longest_keys, kTile),
                     s.key_heads, s.rows, "gradient of keys", in, g);
      launch<Shared>(&query_gradient_kernel<kWidth, kTile, T>,
                     ragged::tiles_of(extent.longest_queries, kTile), s.heads, s.rows, "gradient of queries",
                     in, g);
    });
  }
};

}  // namespace

const ragged::Launcher& cuda_attention() {
  static const CudaLauncher only;
  return only;
}

}  // namespace trimtab
