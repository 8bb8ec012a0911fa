// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

namespace trimtab {
namespace {

// In a process of its own each.
void ask_once(int signal) {
  catch_stop_signals();
  if (stop_requested()) std::_Exit(1);
  ::raise(signal);
  std::_Exit(stop_requested() ? 0 : 2);
}

TEST(Signals, EachAsksForACleanEnd) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1})
    EXPECT_EXIT(ask_once(signal), testing::ExitedWithCode(0), "") << signal;
}

TEST(Signals, TheSameRequestDeliveredTwiceIsOne) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        ::raise(SIGTERM);
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Signals, ASecondOneEndsAtOnce) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        ::raise(SIGUSR1);
        ::usleep(1'100'000);  // what makes it a second one
        ::raise(SIGTERM);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(Signals, AWarningMayBeRepeated) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        ::raise(SIGTERM);
        ::usleep(1'100'000);
        ::raise(SIGUSR1);
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Signals, WhoHasSavedIsEndedByNone) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        ::raise(SIGUSR1);
        ::usleep(1'100'000);
        ignore_stop_signals();
        for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) ::raise(signal);
        std::_Exit(75);
      },
      testing::ExitedWithCode(75), "");
}

}  // namespace
}  // namespace trimtab
