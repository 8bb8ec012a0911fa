// SPDX-License-Identifier: Apache-2.0
//
// Runs one stage's list of actions (schedule.h): computes, exchanges with the neighbours along the pipe, and
// keeps of each micro-batch in flight only what its backward pass needs. Internal to pipeline.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>

#include "parallel/pipeline_stage.h"
#include "parallel/schedule.h"
#include "runtime/communicator.h"

namespace trimtab {

// What a run asks of the stage, by number of the micro-batch.
struct StageCalls {
  std::function<StageShape(int)> receive_shape;
  std::function<StageIO(int, StageIO)> forward;
  // The scalar whose backward starts here: last stage only, may be empty elsewhere and without backward.
  std::function<at::Tensor(int, const StageIO&)> loss;
};

class StageRun {
 public:
  // `received_gradients`: something on a stage before is trained, so that what arrives becomes an autograd
  // leaf whose gradient goes back. `backward`: there is a backward pass on this stage; without, no graph is
  // kept.
  StageRun(Communicator& pipe, StageCalls calls, bool received_gradients, bool backward);

  // Collective with the neighbours' lists.
  void run(const Actions& actions);

 private:
  // A micro-batch between its first receive and its last send.
  struct Flight {
    StageIO in;        // received, leaves if their gradient goes back
    StageIO out;       // given to the next stage; the root of backward
    at::Tensor loss;   // last stage
    StageIO gradient;  // of `out`, received
  };

  bool last() const { return pipe_.rank() + 1 == pipe_.size(); }
  void forward(int micro);
  void backward(int micro);
  void exchange(const std::vector<Message>& messages);
  void receive_activations(int micro, std::vector<Receive>& receives);
  // Ends the flight of what was sent for the last time.
  void after_send(const Message& message);

  Communicator& pipe_;
  StageCalls calls_;
  bool received_gradients_, backward_;
  std::map<int, Flight> flights_;
};

}  // namespace trimtab
