// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM and SIGINT ask for a clean end: the step is finished, the state saved. A second signal ends at
// once.
#pragma once

namespace trimtab {

void catch_stop_signals();
bool stop_requested();

}  // namespace trimtab
