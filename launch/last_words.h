// SPDX-License-Identifier: Apache-2.0
//
// What all ranks throw is said once: by the job's first rank, and on hosts without it by one of theirs,
// should the job not have ended by then. Launchers take longer to end a job than any pause that a failing
// rank could make, so that who has spoken leaves a mark in the launcher's own folder of the job on this host,
// which goes with the job.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace trimtab {

struct Speaker {
  int rank = 0;                             // of the job
  std::string folder;                       // of the launcher; "": none is known, and every rank speaks
  std::chrono::milliseconds patience{500};  // for the first rank to speak
};

// Calls `say`, unless another rank of this host has just said `text`.
void say_once(const std::string& text, const Speaker& here, const std::function<void()>& say);

}  // namespace trimtab
