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

void suffer(const std::string& fault, MpiSession& session) {
  if (fault == "throw") fail("the disk is full");
  if (fault == "exit") std::_Exit(7);
  if (fault == "kill") ::kill(::getpid(), SIGKILL);
  if (fault == "crash") std::abort();
  if (fault == "abort_beside") {  // as a watchdog does, while the main thread waits in a call
    std::thread([&] { session.abort(9, "the step takes too long"); }).detach();
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
    session.abort(1, error.what());
  }
  return 0;
}
