// SPDX-License-Identifier: Apache-2.0
//
// Communicators of one rank whose calls queue up on one stream of its device: a call of one that never ends
// holds up those of all. Each joins with a check of its health, and whoever waits for the stream asks all of
// them, so that a wait ends by the communicator that lost a rank, whichever it is for. Used by the rank's
// thread alone.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace trimtab {

class SharedQueue {
 public:
  // Throws what came of calls that were queued; `what` is the wait that asks.
  using Check = std::function<void(const std::string& what)>;

  // From construction to destruction one of those that are asked.
  class Member {
   public:
    Member(SharedQueue& queue, Check check) : queue_(queue), check_(std::move(check)) {
      queue_.members_.push_back(this);
    }
    ~Member() { std::erase(queue_.members_, this); }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    friend class SharedQueue;
    SharedQueue& queue_;
    Check check_;
  };

  void check_all(const std::string& what) const {
    for (const Member* member : members_) member->check_(what);
  }

 private:
  std::vector<Member*> members_;
};

}  // namespace trimtab
