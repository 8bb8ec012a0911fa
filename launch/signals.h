// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM, SIGINT and SIGUSR1 (a batch system's warning) ask for a clean end: the step is finished, the state
// saved. A second signal ends at once, unless it comes within a second of the first: launchers may deliver
// one request twice. One rank that was asked is enough; the ranks agree.
#pragma once

namespace trimtab {

void catch_stop_signals();
bool stop_requested();

// A file over the user's limit (ulimit -f) is then an error that names the file, not the end of the process.
void ignore_file_limit_signal();

}  // namespace trimtab
