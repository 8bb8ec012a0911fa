// SPDX-License-Identifier: Apache-2.0
#include "models/ops/flush_denormals.h"

#include <ATen/Parallel.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace trimtab {
namespace {

#if defined(__SSE2__)
constexpr unsigned kFlushToZero = 0x8000u;
constexpr unsigned kDenormalsAreZero = 0x0040u;
constexpr unsigned kBoth = kFlushToZero | kDenormalsAreZero;
#endif

void flush_in_this_thread() {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | kBoth);
#endif
}

}  // namespace

void flush_denormals() {
  flush_in_this_thread();
  at::parallel_for(0, at::get_num_threads(), 1, [](std::int64_t, std::int64_t) { flush_in_this_thread(); });
}

bool flushes_denormals() {
#if defined(__SSE2__)
  return (_mm_getcsr() & kBoth) == kBoth;
#else
  return false;
#endif
}

}  // namespace trimtab
