// SPDX-License-Identifier: Apache-2.0
//
// The program itself, objects and all, on a machine with a fault: four of its functions are wrapped by the
// linker (--wrap), and one rank sees what TRIMTAB_FAULT says, "RANK FAULT":
//   sum      the first element of each reduced vector of 1,000 is too great by 1
//   version  the program calls itself another version
//   memory   hardly any memory is left
//   stop     SIGSTOP to itself in the first reduction
// With TRIMTAB_RANKS_A_HOST=N the ranks believe to be on several hosts, N on each.
// tests/launch/CMakeLists.txt names the wrapped functions.
#include <signal.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "runtime/reduce.h"

namespace {

int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

int my_rank() { return number_of("OMPI_COMM_WORLD_RANK", 0); }

bool has_fault(const std::string& wanted) {
  const char* text = std::getenv("TRIMTAB_FAULT");
  std::istringstream words(text != nullptr ? text : "");
  int rank = -1;
  std::string fault;
  return words >> rank >> fault && rank == my_rank() && fault == wanted;
}

constexpr std::int64_t kSpoilt = 1'000;

}  // namespace

namespace trimtab::testing {

using Parts = std::span<const void* const>;
using Outs = std::span<void* const>;
using Versions = std::vector<std::pair<std::string, std::string>>;

void real_reduce(Parts parts, Outs outs, std::int64_t begin, std::int64_t count, DType dtype,
                 ReduceOp op) asm("__real_" TRIMTAB_REDUCE);
std::string real_host_name() asm("__real_" TRIMTAB_HOST_NAME);
std::uint64_t real_available_memory() asm("__real_" TRIMTAB_MEMORY);
Versions real_versions() asm("__real_" TRIMTAB_VERSIONS);

void reduce(Parts parts, Outs outs, std::int64_t begin, std::int64_t count, DType dtype,
            ReduceOp op) asm("__wrap_" TRIMTAB_REDUCE);
void reduce(Parts parts, Outs outs, std::int64_t begin, std::int64_t count, DType dtype, ReduceOp op) {
  if (has_fault("stop")) ::raise(SIGSTOP);
  real_reduce(parts, outs, begin, count, dtype, op);
  if (dtype == DType::kFloat32 && count == kSpoilt && has_fault("sum")) *static_cast<float*>(outs[0]) += 1;
}

std::string host_name() asm("__wrap_" TRIMTAB_HOST_NAME);
std::string host_name() {
  const int ranks = number_of("TRIMTAB_RANKS_A_HOST", 0);
  return ranks == 0 ? real_host_name() : "host" + std::to_string(my_rank() / ranks);
}

std::uint64_t available_memory() asm("__wrap_" TRIMTAB_MEMORY);
std::uint64_t available_memory() { return has_fault("memory") ? 1'000 : real_available_memory(); }

Versions versions() asm("__wrap_" TRIMTAB_VERSIONS);
Versions versions() {
  Versions out = real_versions();
  if (has_fault("version")) out.front().second = "9.9.9";
  return out;
}

}  // namespace trimtab::testing
