// SPDX-License-Identifier: Apache-2.0
//
// What a stage of a pipeline does and in what order, as data. A schedule says in which order a stage
// computes; the messages between neighbours follow from that, and are fused: what one piece of work produced
// leaves in the same exchange in which the input of the next arrives, so that no order of blocking sends can
// lock two stages. Lists can be run (pipeline.h), counted, and searched for deadlocks without running
// anything.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/registry.h"

namespace trimtab {

enum class Compute { kForward, kBackward };

// The forward or backward pass of one micro-batch.
struct Work {
  Compute compute = Compute::kForward;
  int micro = 0;
  bool operator==(const Work&) const = default;
};

// What a piece of work needs from a neighbour or gives to it: a forward pass gives activations to the next
// stage, a backward pass gives their gradients to the one before.
struct Message {
  bool send = false;  // otherwise receive
  Work of;
  int peer = 0;  // stage
  bool operator==(const Message&) const = default;
};

// Either a piece of work (no messages) or one exchange.
struct Action {
  std::optional<Work> work;
  std::vector<Message> messages;
};

using Actions = std::vector<Action>;

struct ScheduleShape {
  int stages = 1;
  int micro_batches = 1;
  // The first stage on which anything is trained. Stages before it run forward only, and no gradient crosses
  // into them. `stages` if nothing is trained.
  int first_trained = 0;
};

// The order in which `stage` computes: each micro-batch forward once and, from first_trained on, backward
// once.
using ScheduleOrder = std::function<std::vector<Work>(const ScheduleShape& shape, int stage)>;

// "1f1b": a stage keeps at most `stages - stage` micro-batches. "gpipe": all forward, then all backward; it
// keeps all of them. "forward_only": no backward, whatever is trained.
const Registry<ScheduleOrder>& schedule_registry();

// The list of `stage` under a schedule of that name. Throws ConfigError for an unknown name, Error for a
// shape that makes no sense.
Actions schedule_actions(const std::string& schedule, const ScheduleShape& shape, int stage);

// The list of a given order.
Actions with_exchanges(const std::vector<Work>& order, const ScheduleShape& shape, int stage);

// The most micro-batches that were forward and not yet backward at the same time, if backward comes at all.
int most_in_flight(const Actions& actions);

// Runs the lists of all stages against each other with exchanges that end only when every message has met its
// counterpart. Nothing if all lists end; else who waits where for whom, as a cycle if it is one.
std::optional<std::string> find_deadlock(const std::vector<Actions>& stages);

// "activations of micro-batch 3 to stage 2"
std::string text_of(const Message& message);

}  // namespace trimtab
