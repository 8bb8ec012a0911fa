// SPDX-License-Identifier: Apache-2.0
#include "experiments/device_table.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "experiments/calibration.h"
#include "experiments/machine.h"
#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

struct Entry {
  const char* name;
  double bfloat16, float32;  // dense operations a second: tensor cores; float32 without TF32
  double memory, bandwidth;  // bytes, bytes a second
  double inside, between;    // bytes a second and direction: NVLink; one network card for each device
};

// NVIDIA's data sheets of H100 SXM (2023), H200 SXM (2024) and A100 SXM 80 GB (2021), whose figures with
// sparsity are halved and whose NVLink figures are both directions together; network of the DGX systems of
// the same name, one card of 400 or 200 Gbit/s a device.
constexpr Entry kEntries[] = {
    {"h100", 989.4e12, 66.9e12, 80e9, 3.35e12, 450e9, 50e9},
    {"h200", 989.4e12, 66.9e12, 141e9, 4.8e12, 450e9, 50e9},
    {"a100", 312e12, 19.5e12, 80e9, 2.039e12, 300e9, 25e9},
};
constexpr const char* kCpu = "cpu";

// Assumed of accelerators, for which nothing was measured: what a step reaches of its matrix products, the
// time to begin an operation, and the time until a message begins to arrive.
constexpr double kAssumedEfficiency = 0.35, kLaunchSeconds = 5e-6, kInsideSeconds = 10e-6,
                 kBetweenSeconds = 20e-6;
// Messages between processes of a machine, and 10 Gbit/s Ethernet between machines.
constexpr Link kSharedMemory{20e-6, 2e9}, kEthernet{50e-6, 1.25e9};

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The best of some products of the size of a layer's.
double measured_operations(DType compute) {
  constexpr std::int64_t kTokens = 1024, kIn = 768, kOut = 2048;
  constexpr double kLongEnough = 0.5;
  const at::TensorOptions options(scalar_type(compute));
  const at::Tensor x = at::ones({kTokens, kIn}, options), w = at::ones({kOut, kIn}, options);
  double best = 1e9;
  for (double spent = 0; spent < kLongEnough;) {
    const double seconds = seconds_of([&] { at::matmul(x, w.t()); });
    best = std::min(best, seconds);
    spent += seconds;
  }
  return 2.0 * kTokens * kIn * kOut / best;
}

double measured_bandwidth() {
  constexpr std::int64_t kNumbers = std::int64_t{1} << 24;
  const at::Tensor from = at::ones({kNumbers}, at::kFloat), to = at::ones({kNumbers}, at::kFloat);
  double best = 1e9;
  for (int i = 0; i < 3; ++i) best = std::min(best, seconds_of([&] { to.copy_(from); }));
  return 2.0 * kNumbers * sizeof(float) / best;
}

Device this_machine(DType compute, const NodeShare& node, const AttentionShape& model) {
  const int cores = usable_cores(), own = std::max(1, cores / node.ranks);
  const int threads = node.threads > 0 ? std::min(node.threads, own) : own;
  prepare_threads(std::min(cores, threads * node.ranks));
  Device device;
  device.name = kCpu;
  device.operations = measured_operations(compute) / node.ranks;
  device.efficiency = trained_operations(model, compute, node.ranks, threads) / device.operations;
  device.bandwidth = measured_bandwidth() / node.ranks;
  device.memory = static_cast<std::int64_t>(available_memory()) / node.ranks;
  device.inside = kSharedMemory;
  device.between = kEthernet;
  return device;
}

}  // namespace

Device device_named(const std::string& name, DType compute, const NodeShare& node,
                    const AttentionShape& model) {
  if (name == kCpu) return this_machine(compute, node, model);
  std::vector<std::string> known = {kCpu};
  for (const Entry& entry : kEntries) {
    known.emplace_back(entry.name);
    if (name != entry.name) continue;
    Device device;
    device.name = entry.name;
    device.operations = compute == DType::kBFloat16 ? entry.bfloat16 : entry.float32;
    device.efficiency = kAssumedEfficiency;
    device.bandwidth = entry.bandwidth;
    device.launch = kLaunchSeconds;
    device.memory = static_cast<std::int64_t>(entry.memory);
    device.inside = {kInsideSeconds, entry.inside};
    device.between = {kBetweenSeconds, entry.between};
    return device;
  }
  fail_config("--device: '{}' is not known{}; known are {}", name, did_you_mean(name, known),
              fmt::join(known, ", "));
}

}  // namespace trimtab
