// SPDX-License-Identifier: Apache-2.0
//
// The GPU of trimtab_throughput_bench: one of two files, of which the build takes one.
#pragma once

#include <string>

namespace trimtab::bench {

// Makes the first GPU the device of this process, with the attention that is asked for ("default" or a value
// of TRIMTAB_ATTENTION). Throws ConfigError with the reason when there is none.
void take_gpu(const std::string& attention);

std::string gpu_name();

}  // namespace trimtab::bench
