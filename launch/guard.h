// SPDX-License-Identifier: Apache-2.0
//
// The one place where exceptions end and become exit codes.
#pragma once

#include <functional>
#include <string>

#include "runtime/check.h"

namespace trimtab {

enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,       // something failed while running
  kImpossible = 2,    // the user asked for the impossible
  kTaken = 69,        // another job has the run's folder: the same command will do later (EX_UNAVAILABLE)
  kInterrupted = 75,  // a signal came: state is saved, the same command goes on (EX_TEMPFAIL)
};

// Another job is at what this one was to do.
class TakenError : public Error {
 public:
  using Error::Error;
};

// Throws TakenError.
[[noreturn]] void fail_taken(const std::string& output, const std::string& holder);

// Runs `body` and returns its code, or the code of what it threw, whose message goes to standard error. In a
// job of several ranks the whole job then ends with that code.
int guarded(const std::function<int()>& body);

}  // namespace trimtab
