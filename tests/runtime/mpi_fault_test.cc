// SPDX-License-Identifier: Apache-2.0
//
// A job in which one rank comes to harm ends as a whole: soon, with a status that is not 0, with the
// culprit's name, and with no process left.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <ostream>
#include <regex>
#include <string>
#include <thread>

namespace trimtab {
namespace {

using testing::HasSubstr;

struct Ended {
  int status = 0;  // of mpirun; 124 if `timeout` had to end it
  std::string output;
  std::vector<int> processes;
};

Ended run_with(const std::string& fault, int culprit) {
  const std::string command = "timeout 60 " TRIMTAB_MPIRUN " 3 " TRIMTAB_MPI_FAULT " " + fault + " " +
                              std::to_string(culprit) + " 2>&1";
  Ended ended;
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> block{};
  while (const std::size_t n = std::fread(block.data(), 1, block.size(), pipe))
    ended.output.append(block.data(), n);
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const std::regex pid("pid ([0-9]+)");
  for (std::sregex_iterator it(ended.output.begin(), ended.output.end(), pid), end; it != end; ++it)
    ended.processes.push_back(std::stoi((*it)[1]));
  return ended;
}

bool is_gone(int process) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (::kill(process, 0) != 0 && errno == ESRCH) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

struct Fault {
  const char* name;
  int culprit;
  std::string text;

  // In the names of tests.
  friend void PrintTo(const Fault& it, std::ostream* out) { *out << it.name; }
};

class MpiFault : public testing::TestWithParam<Fault> {};

TEST_P(MpiFault, EndsTheWholeJobByName) {
  const Ended ended = run_with(GetParam().name, GetParam().culprit);
  EXPECT_NE(ended.status, 0) << ended.output;
  EXPECT_NE(ended.status, 124) << "the job had to be ended from outside\n" << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(GetParam().text));
  EXPECT_EQ(ended.processes.size(), 3u) << ended.output;
  for (const int process : ended.processes) EXPECT_TRUE(is_gone(process)) << process;
}

// What mpirun itself says of a rank that is gone without a word names it by number.
INSTANTIATE_TEST_SUITE_P(
    Ranks, MpiFault,
    testing::Values(Fault{"throw", 1, "ends the job: the disk is full"}, Fault{"throw", 0, "rank 0 of 3 on "},
                    Fault{"throw", 2, "rank 2 of 3 on "}, Fault{"exit", 1, "Exit code:    7"},
                    Fault{"kill", 1, "exited on signal 9"}, Fault{"kill", 0, "process rank 0"},
                    Fault{"crash", 2, "process rank 2"}, Fault{"abort_beside", 1, "rank 1 of 3 on "},
                    Fault{"throw_unheard", 1, "ended beside its launcher"},
                    Fault{"late", 2, "which have not arrived"}),
    [](const auto& tested) {
      return std::string(tested.param.name) + "_of_" + std::to_string(tested.param.culprit);
    });

TEST(MpiFault, WithoutOneTheJobEndsWell) {
  const Ended ended = run_with("return", -1);
  EXPECT_EQ(ended.status, 0) << ended.output;
}

}  // namespace
}  // namespace trimtab
