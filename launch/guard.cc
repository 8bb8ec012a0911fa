// SPDX-License-Identifier: Apache-2.0
#include "launch/guard.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <new>
#include <string>

#include "launch/job.h"
#include "runtime/check.h"

namespace trimtab {

namespace {

void say(const std::string& what) {
  // One write a line: ranks share the stream.
  const std::string line = "error: " + rank_label() + what + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const ConfigError& error) {
    say(error.what());
    return kImpossible;
  } catch (const c10::Error& error) {
    // Without the back trace, which says nothing to a user.
    say(std::string("LibTorch: ") + error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    say("out of memory: lower train.micro_batch_tokens, or use model.compute=bfloat16");
  } catch (const std::exception& error) {
    say(error.what());
  }
  return kFailure;
}

}  // namespace trimtab
