// SPDX-License-Identifier: Apache-2.0
#include "launch/guard.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <new>

#include "runtime/check.h"

namespace trimtab {

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return kImpossible;
  } catch (const c10::Error& error) {
    // Without the back trace, which says nothing to a user.
    std::fprintf(stderr, "error: LibTorch: %s\n", error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "error: out of memory: lower train.micro_batch_tokens, or use model.compute=bfloat16\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return kFailure;
}

}  // namespace trimtab
