// SPDX-License-Identifier: Apache-2.0
//
// What Linux counts for this process and for the machine, as peft_baseline.py reads it.
#pragma once

#include <string>

namespace trimtab::bench {

// A field of /proc/self/status in MiB: "VmRSS:" (held now), "VmHWM:" (most ever, or since forget_peak()).
double status_mib(const std::string& field);

// Starts "VmHWM:" anew from what is held now, so that it does not show how the weights were read.
void forget_peak();

// Processor seconds spent since the start of: this process in user and in kernel mode, and everything on this
// machine, stolen time included.
struct ProcessorSeconds {
  double user = 0, system = 0, machine = 0;
};
ProcessorSeconds processor_seconds();

}  // namespace trimtab::bench
