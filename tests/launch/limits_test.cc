// SPDX-License-Identifier: Apache-2.0
#include "launch/limits.h"

#include <gtest/gtest.h>

namespace trimtab {
namespace {

using namespace std::chrono_literals;

TEST(Limits, MpiStartsWithinMinutesOrWithinTheLimitOfTheStart) {
  EXPECT_EQ(limit_of_mpi_start(2h), 300s);
  EXPECT_EQ(limit_of_mpi_start(5s), 5s);
  EXPECT_EQ(limit_of_mpi_start(0s), 0s) << "never stays never";
}

}  // namespace
}  // namespace trimtab
