// SPDX-License-Identifier: Apache-2.0
//
// Denormal numbers make x86 arithmetic many times slower (a softmax that underflows: 14 times). The flag is a
// register of each thread, hence this has to reach every thread that computes.
#pragma once

namespace trimtab {

// Sets flush-to-zero and denormals-are-zero in the calling thread and in every thread of LibTorch's pool for
// it. Call it once in each thread that starts computation (a rank), after the number of threads is set.
// Nothing on other processors.
void flush_denormals();

// Whether the calling thread flushes denormals.
bool flushes_denormals();

}  // namespace trimtab
