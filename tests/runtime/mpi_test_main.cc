// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_test_main.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace trimtab {

namespace {

std::optional<MpiSession>& session() {
  static std::optional<MpiSession> only;
  return only;
}

class FailuresOfRank : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "rank %d, %s.%s: %s:%d: %s\n", test_session().rank(),
                 test ? test->test_suite_name() : "", test ? test->name() : "", result.file_name(),
                 result.line_number(), result.message());
  }
};

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  session().emplace();
  const int wanted = std::atoi(argc > 1 ? argv[1] : "0");
  if (wanted != session()->size()) {
    std::fprintf(stderr, "%d ranks were asked for, but MPI started %d\n", wanted, session()->size());
    return 1;
  }
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (session()->rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOfRank);
  }
  const int failed = RUN_ALL_TESTS();
  // Finalizing waits for all ranks, so that no failure of another one is cut short.
  session().reset();
  return failed;
}

}  // namespace

MpiSession& test_session() { return session().value(); }

}  // namespace trimtab

int main(int argc, char** argv) { return trimtab::run(argc, argv); }
