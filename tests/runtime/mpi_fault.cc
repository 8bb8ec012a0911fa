// SPDX-License-Identifier: Apache-2.0
//
// A rank of a job in which one comes to harm: mpi_fault FAULT RANK, under mpirun. Each rank says its process
// id; then all reduce without end, with a deadline so long that only the fault can end them.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/mpi_communicator.h"
#include "runtime/world.h"

namespace {

using namespace trimtab;

void say_end(const MpiSession& session, const char* why) {
  std::fprintf(stderr, "rank %d of %d on %s ends the job: %s\n", session.rank(), session.size(),
               session.host().c_str(), why);
}

// Stops mpirun until the rank that called is gone, or half a minute.
void stop_launcher() {
  const pid_t rank = ::getpid(), launcher = ::getppid();
  if (::fork() != 0) return std::this_thread::sleep_for(std::chrono::seconds(1));
  ::kill(launcher, SIGSTOP);
  for (int tries = 0; tries < 300 && ::getppid() == rank; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::fprintf(stderr, "%s\n",
               ::getppid() == rank ? "still waits for its launcher" : "ended beside its launcher");
  ::kill(launcher, SIGCONT);
  ::_exit(0);
}

void suffer(const std::string& fault, MpiSession& session) {
  if (fault == "throw") fail("the disk is full");
  if (fault == "throw_unheard") {
    stop_launcher();
    fail("the disk is full");
  }
  if (fault == "exit") std::_Exit(7);
  if (fault == "kill") ::kill(::getpid(), SIGKILL);
  if (fault == "crash") std::abort();
  if (fault == "abort_beside") {  // as a watchdog does, while the main thread waits in a call
    std::thread([&] {
      say_end(session, "the step takes too long");
      MpiSession::end_job(9);
    }).detach();
    return;
  }
  if (fault == "late") std::this_thread::sleep_for(std::chrono::hours(1));
}

void work(const std::string& fault, int culprit, MpiSession& session) {
  World world = mpi_world(Mesh(session.size(), 1, 1), session);
  const auto deadline = fault == "late" ? std::chrono::milliseconds(200) : std::chrono::milliseconds(600'000);
  const auto ranks = mpi_communicator(session, world.all().members(), "ranks", {.deadline = deadline});
  std::fprintf(stderr, "pid %d\n", static_cast<int>(::getpid()));
  std::fflush(stderr);
  world.all().barrier();
  for (int step = 0;; ++step) {
    if (step == 10 && session.rank() == culprit) suffer(fault, session);
    if (step == 10 && fault == "return") return;
    std::vector<float> gradient(50'000, 1.0f);
    ranks->all_reduce({gradient.data(), 50'000, DType::kFloat32}, ReduceOp::kSum, Traffic::kGradient);
  }
}

}  // namespace

int main(int, char** argv) {
  trimtab::MpiSession session;
  try {
    work(argv[1], std::atoi(argv[2]), session);
  } catch (const std::exception& error) {
    say_end(session, error.what());
    trimtab::MpiSession::end_job(1);
  }
  return 0;
}
