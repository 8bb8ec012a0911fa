// SPDX-License-Identifier: Apache-2.0
//
// main() of test programs that CTest starts under mpirun (trimtab_mpi_test in tests/CMakeLists.txt): all
// ranks run the same tests in the same order. Rank 0 reports as GoogleTest does, the others report failures
// only; a failure on any rank fails the job.
#pragma once

#include "runtime/mpi_session.h"

namespace trimtab {

// The session of this process, made by main().
MpiSession& test_session();

}  // namespace trimtab
