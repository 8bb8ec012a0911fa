// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>

namespace trimtab {
namespace {

// A handler can reach nothing but globals. Milliseconds of the first signal, 0 for none.
std::atomic<std::int64_t> asked_at{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "a handler must not wait");

constexpr std::int64_t kSameRequest = 1'000;  // milliseconds

void on_signal(int signal) {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t now = time.tv_sec * 1'000 + time.tv_nsec / 1'000'000;
  std::int64_t first = 0;
  if (asked_at.compare_exchange_strong(first, now) || now - first < kSameRequest || signal == SIGUSR1) return;
  ::signal(signal, SIG_DFL);
  raise(signal);  // comes when this returns
}

void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaction(signal, &action, nullptr);
}

}  // namespace

void catch_stop_signals() { handle_with(on_signal); }

void ignore_stop_signals() { handle_with(SIG_IGN); }

bool stop_requested() { return asked_at.load() != 0; }

void ignore_file_limit_signal() { ::signal(SIGXFSZ, SIG_IGN); }

}  // namespace trimtab
