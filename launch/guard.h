// SPDX-License-Identifier: Apache-2.0
//
// The one place where exceptions end and become exit codes.
#pragma once

#include <functional>

namespace trimtab {

enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,       // something failed while running
  kImpossible = 2,    // the user asked for the impossible
  kInterrupted = 75,  // a signal came: state is saved, the same command goes on (EX_TEMPFAIL)
};

// Runs `body` and returns its code, or the code of what it threw, whose message goes to standard error. In a
// job of several ranks the whole job then ends with that code.
int guarded(const std::function<int()>& body);

}  // namespace trimtab
