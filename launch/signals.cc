// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <csignal>

namespace trimtab {
namespace {

// A handler can reach nothing but a global.
volatile std::sig_atomic_t stop = 0;

void on_signal(int signal) {
  stop = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_stop_signals() {
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
}

bool stop_requested() { return stop != 0; }

}  // namespace trimtab
