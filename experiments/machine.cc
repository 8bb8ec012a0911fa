// SPDX-License-Identifier: Apache-2.0
#include "experiments/machine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <H5public.h>
#include <sched.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "experiments/build_id.h"
#include "experiments/cgroup.h"
#include "experiments/host_allocator.h"
#include "models/ops/flush_denormals.h"
#include "runtime/mpi_session.h"

namespace trimtab {
namespace {

// "Key:   123 kB" of /proc files, in bytes.
std::uint64_t kilobytes_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::uint64_t value = 0;
    if (word == key && file >> value) return value * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// "Open MPI v4.1.4" of a text that goes on with who built it.
std::string mpi_library() {
  const std::string text = MpiSession::library();
  return text.substr(0, text.find_first_of(",\n"));
}

// The version is that of the headers, since the library tells none; its build is that of the library that is
// loaded.
std::string torch_library() {
  const std::string build = build_id("libtorch_cpu.so");
  return build.empty() ? TORCH_VERSION : std::string(TORCH_VERSION) + " build " + build;
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
  const int quota = cgroup_cores();
  return quota > 0 ? std::min(cores, quota) : cores;
}

std::vector<int> usable_core_numbers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return out;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) out.push_back(core);
  return out;
}

std::uint64_t memory_limit() { return cgroup_memory().limit; }

std::uint64_t available_memory() {
  const std::uint64_t machine = kilobytes_of("/proc/meminfo", "MemAvailable:");
  const CgroupMemory group = cgroup_memory();
  if (group.limit == 0) return machine;
  return machine == 0 ? group.left : std::min(machine, group.left);
}

std::uint64_t peak_memory() { return kilobytes_of("/proc/self/status", "VmHWM:"); }

void reset_peak_memory() {
  give_back_freed();  // what the run before freed is none of the next one's
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::string instruction_sets() {
#if defined(__x86_64__)
  std::string out = "x86-64:";
  if (__builtin_cpu_supports("avx2")) out += " avx2";
  if (__builtin_cpu_supports("fma")) out += " fma";
  if (__builtin_cpu_supports("avx512f")) out += " avx512f";
  if (__builtin_cpu_supports("avx512vnni")) out += " avx512vnni";
  if (__builtin_cpu_supports("avx512bf16")) out += " avx512bf16";
  return out;
#else
  return "unknown";
#endif
}

bool has_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return true;
#endif
}

std::vector<std::pair<std::string, std::string>> versions() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {
      {"trimtab", TRIMTAB_VERSION},
      {"compiler", std::string("g++ ") + __VERSION__},
      {"libtorch", torch_library()},
      {"mpi", mpi_library()},
      {"hdf5", std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release)},
  };
}

int prepare_threads(int threads, int cores) {
  const int chosen = threads > 0 ? threads : cores > 0 ? cores : usable_cores();
  at::set_num_threads(chosen);
  use_host_allocator();
  flush_denormals();
  return chosen;
}

}  // namespace trimtab
