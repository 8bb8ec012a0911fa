// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM, SIGINT and SIGUSR1 (a batch system's warning) ask for a clean end: the step is finished, the state
// saved. A second SIGTERM or SIGINT ends at once, unless it comes within a second of the first: launchers may
// deliver one request twice. A warning may be repeated for as long as it takes: launchers lose those that
// come before they have started the ranks. One rank that was asked is enough; the ranks agree.
#pragma once

namespace trimtab {

// May be called before main().
void catch_stop_signals();
bool stop_requested();

// From here on nothing changes the code that the process ends with: what it had to save is saved. Launchers
// send SIGTERM to the ranks that are left when the first has gone with another code than 0.
void ignore_stop_signals();

// A file over the user's limit (ulimit -f) is then an error that names the file, not the end of the process.
void ignore_file_limit_signal();

}  // namespace trimtab
