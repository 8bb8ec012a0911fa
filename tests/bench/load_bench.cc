// SPDX-License-Identifier: Apache-2.0
//
// How long it takes to turn a GGUF file of the Llama kind into tensors in memory, on one thread, and the most
// memory held meanwhile, the pages of the mapped file included.
//   trimtab_load_bench FILE.gguf
#include <chrono>
#include <cstdio>
#include <memory>
#include <vector>

#include "bench/process_stats.h"
#include "models/llama/llama_gguf.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

// Seconds of the clock and of the processor: on a busy machine the two differ.
class Stopwatch {
 public:
  double clock() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }
  double processor() const { return used() - used_; }

 private:
  static double used() {
    const bench::ProcessorSeconds spent = bench::processor_seconds();
    return spent.user + spent.system;
  }

  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  double used_ = used();
};

// Each tensor into memory of its own, as a loader does: new pages are most of the cost.
void measure(const TensorSource& weights, DType type) {
  bench::forget_peak();
  const Stopwatch watch;
  std::vector<std::unique_ptr<std::byte[]>> tensors;
  std::int64_t elements = 0;
  for (const std::string& name : weights.names()) {
    const std::int64_t count = element_count(weights.info(name).shape);
    const auto bytes = static_cast<std::size_t>(count) * size_of(type);
    tensors.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    weights.read(name, {}, type, tensors.back().get());
    elements += count;
  }
  std::printf("%zu tensors, %.1f M elements, as %s: %.3f s (processor %.3f s), peak %.0f MiB\n",
              tensors.size(), static_cast<double>(elements) / 1e6, std::string(name_of(type)).c_str(),
              watch.clock(), watch.processor(), bench::status_mib("VmHWM:"));
}

}  // namespace
}  // namespace trimtab

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE.gguf\n", argv[0]);
    return 2;
  }
  try {
    const trimtab::Stopwatch watch;
    const auto weights = trimtab::llama_gguf_weights(std::make_unique<trimtab::Gguf>(argv[1]));
    std::printf("header: %.4f s\n", watch.clock());
    for (const auto type : {trimtab::DType::kFloat32, trimtab::DType::kFloat32, trimtab::DType::kBFloat16})
      trimtab::measure(*weights, type);
  } catch (const trimtab::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
