// SPDX-License-Identifier: Apache-2.0
#include "bench/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "runtime/check.h"

namespace trimtab::bench {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// user nice system idle iowait irq softirq steal: all but the two that are idle.
double machine_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  double ticks = 0, value = 0;
  for (int field = 0; field < 8 && file >> value; ++field)
    if (field != 3 && field != 4) ticks += value;
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

double status_mib(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kib = 0;
    if (word == field && file >> kib) return kib / 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  fail("/proc/self/status has no {}", field);
}

void forget_peak() {
  std::ofstream file("/proc/self/clear_refs");
  if (!(file << 5 << std::flush))
    fail("/proc/self/clear_refs cannot be written: the peak of memory cannot be measured");
}

ProcessorSeconds processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {seconds(usage.ru_utime), seconds(usage.ru_stime), machine_seconds()};
}

}  // namespace trimtab::bench
