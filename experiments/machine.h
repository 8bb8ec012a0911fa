// SPDX-License-Identifier: Apache-2.0
//
// What this machine and this build are: for run records, for `doctor`, and for saying no before memory runs
// out. All numbers are read anew at each call; what cannot be read is 0 or "unknown".
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace trimtab {

// What the environment says of this rank's cores, which launch/ reads; 0: nothing.
struct CoreHints {
  int threads = 0;  // OMP_NUM_THREADS
  int of_task = 0;  // SLURM_CPUS_PER_TASK, in a task of Slurm

  bool operator==(const CoreHints&) const = default;
};

std::string host_name();
// Cores that this process may use: by its CPU affinity and the quota of its control groups.
int usable_cores();
// Their numbers, ascending.
std::vector<int> usable_core_numbers();
// Bytes that can still be used: the least of the machine's and what each control group leaves.
std::uint64_t available_memory();
// The least of the control groups (cgroup.h); 0: none.
std::uint64_t memory_limit();
// Most bytes that this process held since it began, or since the last reset.
std::uint64_t peak_memory();
// For a process that does one run after the other. Where the kernel does not allow it, nothing happens.
void reset_peak_memory();
// "x86-64: avx2 avx512f bf16 ..." of those that matter for speed.
std::string instruction_sets();
// Whether this processor multiplies bfloat16 by itself; where not, it is emulated and many times slower than
// float32.
bool has_bfloat16();
inline constexpr const char* kEmulatedBFloat16 =
    "model.compute: this processor has no bfloat16 instructions (avx512bf16), so that bfloat16 is emulated "
    "and many times "
    "slower than float32; set it to float32";

// (what, version) of the program, the compiler and the libraries.
std::vector<std::pair<std::string, std::string>> versions();

// Sets the number of threads that compute (0: as many as `cores`; 0 of those: the usable ones), makes
// them flush denormals, and returns it. Tensors then have the host's allocator (host_allocator.h).
int prepare_threads(int threads, int cores = 0);

}  // namespace trimtab
