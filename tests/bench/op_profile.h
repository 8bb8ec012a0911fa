// SPDX-License-Identifier: Apache-2.0
//
// Where the time of a step goes: wall time of each LibTorch operation and autograd node without that of the
// operations inside it, on the thread that makes the profile (which waits for the others). One at a time.
#pragma once

#include <memory>
#include <string>

namespace trimtab::bench {

class OpProfile {
 public:
  struct State;

  // Starts.
  OpProfile();
  ~OpProfile();
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  // Stops, and lists what took at least `least_share` of the whole, largest first: share, seconds, calls,
  // name.
  std::string table(double least_share);

 private:
  void stop();

  std::unique_ptr<State> state_;
  unsigned long handle_;
  bool running_ = true;
};

}  // namespace trimtab::bench
