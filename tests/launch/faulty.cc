// SPDX-License-Identifier: Apache-2.0
//
// The program itself, objects and all, with four of its functions wrapped by the linker (--wrap): on their
// way one rank comes to harm where and when TRIMTAB_FAULT says, "RANK PLACE COUNT HARM". PLACE is a phase
// ("forward"), an operation of that phase ("forward/operation") or "commit", where a checkpoint lies beside
// its name and is about to get it, or "journal", where a file of the journal does, or "loading", before
// main(), or "comparing", where replicas are about to hash what they trained; the harm comes the COUNT-th
// time that the rank is there:
//   throw  an Error is thrown        exit  _exit(3), without a word
//   kill   SIGKILL to itself         stop  SIGSTOP to itself
//   ask    SIGUSR1 to itself, as a batch system warns before it ends a job
//   slow   from now on it sleeps for three seconds whenever it is there
//   full   from now on no file may be longer than 1,000 bytes, as on a full disk
//   value  while comparing: the lowest bit of a trained number is the other one
//   state  the same of a number that the optimizer keeps
// tests/launch/CMakeLists.txt names the wrapped functions.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>

#include "experiments/checkpoint.h"
#include "runtime/activity.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace {

using namespace trimtab;

struct Fault {
  std::string rank, place, harm;
  int count = 0;
};

Fault planned() {
  const char* text = std::getenv("TRIMTAB_FAULT");
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  Fault fault;
  std::istringstream(text != nullptr ? text : "") >> fault.rank >> fault.place >> fault.count >> fault.harm;
  if (rank == nullptr || fault.rank != rank) fault.count = 0;
  return fault;
}

void suffer(const std::string& harm) {
  if (harm == "throw") fail("the test says so");
  if (harm == "exit") ::_exit(3);
  if (harm == "kill") ::raise(SIGKILL);
  if (harm == "stop") ::raise(SIGSTOP);
  if (harm == "ask") ::raise(SIGUSR1);
  if (harm == "slow") std::this_thread::sleep_for(std::chrono::seconds(3));
  if (harm == "full") {
    const rlimit little{1'000, 1'000};
    ::setrlimit(RLIMIT_FSIZE, &little);
  }
}

// The harm that comes at this place now; "" for none.
std::string harm_at(const std::string& place) {
  static Fault fault = planned();
  if (fault.count == 0 || place != fault.place || --fault.count > 0) return "";
  if (fault.harm == "slow") fault.count = 1;  // again the next time
  return fault.harm;
}

void arrive(const std::string& place) { suffer(harm_at(place)); }

[[gnu::constructor]] void load() { arrive("loading"); }

void flip_bit(const at::Tensor& tensor) { *static_cast<unsigned char*>(tensor.data_ptr()) ^= 1; }

}  // namespace

namespace trimtab::testing {

using Text = std::string_view;

void real_enter(Activity* self, Phase phase, std::int64_t micro) asm("__real_" TRIMTAB_ENTER);
void real_begin(Activity* self, Text call, const std::string& axis, Text traffic,
                std::int64_t bytes) asm("__real_" TRIMTAB_BEGIN);
void real_commit(AtomicPath* self, Durability durability) asm("__real_" TRIMTAB_COMMIT);

std::string real_state_hash(const Parameters& parameters, const OptimizerState& state,
                            bool whole_only) asm("__real_" TRIMTAB_STATE_HASH);

void enter(Activity* self, Phase phase, std::int64_t micro) asm("__wrap_" TRIMTAB_ENTER);
void enter(Activity* self, Phase phase, std::int64_t micro) {
  real_enter(self, phase, micro);
  arrive(std::string(name_of(phase)));
}

void begin(Activity* self, Text call, const std::string& axis, Text traffic,
           std::int64_t bytes) asm("__wrap_" TRIMTAB_BEGIN);
void begin(Activity* self, Text call, const std::string& axis, Text traffic, std::int64_t bytes) {
  real_begin(self, call, axis, traffic, bytes);
  arrive(std::string(name_of(self->snapshot().place.phase)) + "/operation");
}

void commit(AtomicPath* self, Durability durability) asm("__wrap_" TRIMTAB_COMMIT);
void commit(AtomicPath* self, Durability durability) {
  const std::string name = self->path().substr(self->path().rfind('/') + 1);
  if (name.ends_with(".h5")) arrive(name.starts_with("journal-") ? "journal" : "commit");
  real_commit(self, durability);
}

std::string state_hash(const Parameters& parameters, const OptimizerState& state,
                       bool whole_only) asm("__wrap_" TRIMTAB_STATE_HASH);
std::string state_hash(const Parameters& parameters, const OptimizerState& state, bool whole_only) {
  const std::string harm = harm_at("comparing");
  if (harm == "value") flip_bit(parameters.front().value());
  if (harm == "state") flip_bit(state.tensors.front().value);
  return real_state_hash(parameters, state, whole_only);
}

}  // namespace trimtab::testing
