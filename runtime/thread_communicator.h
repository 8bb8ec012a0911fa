// SPDX-License-Identifier: Apache-2.0
//
// Ranks as threads of one process. A ThreadGroup is what the threads share; it outlives the communicators
// that it makes, one for each rank and list of ranks. Nothing is buffered: an exchange ends only when the
// other side has taken the message, so that a schedule that would deadlock between processes fails here, too.
// Any failure ends the whole group.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab {

inline constexpr std::chrono::milliseconds kThreadDeadline = std::chrono::seconds(60);

class ThreadGroup {
 public:
  // `deadline` bounds each single wait of a rank for others.
  explicit ThreadGroup(int ranks, std::chrono::milliseconds deadline = kThreadDeadline);
  ~ThreadGroup();
  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;

  int size() const;

  // The end of `rank` of the communicator of `members`, which must hold `rank`. Each member asks once with
  // the same list and name (in any order, from any thread, at any time); asking again makes another
  // communicator.
  std::unique_ptr<Communicator> communicator(int rank, const std::vector<int>& members,
                                             const std::string& name);

  // Ends the group: every wait, present and future, throws PeerFailure. Only the first failure is kept.
  void abort(int rank, const std::string& reason);
  // `rank` will make no more calls: whoever waits for it, now or later, fails at once instead of at the
  // deadline.
  void leave(int rank);
  // The rank that failed first, if any did.
  std::optional<int> failed_rank() const;

  // Shared by the communicators; defined in the source.
  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace trimtab
