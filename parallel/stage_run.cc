// SPDX-License-Identifier: Apache-2.0
#include "parallel/stage_run.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

void need_gradient(StageIO& io) {
  for (at::Tensor* x : {&io.encoder, &io.decoder})
    if (x->defined()) x->set_requires_grad(true);
}

// The gradients of received leaves; zeros where nothing of this stage read the slot.
StageIO gradients_of(const StageIO& in) {
  const auto one = [](const at::Tensor& x) {
    if (!x.defined()) return at::Tensor();
    return x.grad().defined() ? x.grad().contiguous() : at::zeros_like(x.detach());
  };
  return {one(in.encoder), one(in.decoder)};
}

void list(const StageIO& io, int peer, std::vector<Send>& sends) {
  for (const at::Tensor* x : {&io.encoder, &io.decoder})
    if (x->defined()) sends.push_back({peer, buffer_of(*x)});
}

void list(const StageIO& io, int peer, std::vector<Receive>& receives) {
  for (const at::Tensor* x : {&io.encoder, &io.decoder})
    if (x->defined()) receives.push_back({peer, buffer_of(*x)});
}

// Memory for the gradient of what was sent.
StageIO memory_like(const StageIO& out) {
  const auto one = [](const at::Tensor& x) {
    return x.defined() ? at::empty(x.sizes(), x.options().requires_grad(false)) : at::Tensor();
  };
  return {one(out.encoder), one(out.decoder)};
}

StageIO contiguous(const StageIO& io) {
  const auto one = [](const at::Tensor& x) { return x.defined() ? x.detach().contiguous() : at::Tensor(); };
  return {one(io.encoder), one(io.decoder)};
}

}  // namespace

StageRun::StageRun(Communicator& pipe, StageCalls calls, bool received_gradients, bool backward)
    : pipe_(pipe), calls_(std::move(calls)), received_gradients_(received_gradients), backward_(backward) {}

void StageRun::run(const Actions& actions) {
  for (const Action& action : actions) {
    if (!action.work)
      exchange(action.messages);
    else if (action.work->compute == Compute::kForward)
      forward(action.work->micro);
    else
      backward(action.work->micro);
  }
  TT_CHECK(flights_.empty(), "{} micro-batches did not end on stage {}", flights_.size(), pipe_.rank());
}

void StageRun::forward(int micro) {
  pipe_.enter(Phase::kForward, micro);
  const c10::AutoGradMode graph(backward_);
  Flight& flight = flights_[micro];
  if (received_gradients_) need_gradient(flight.in);
  flight.out = calls_.forward(micro, flight.in);
  if (!last()) return;
  if (calls_.loss) flight.loss = calls_.loss(micro, flight.out);
  if (backward_)
    flight.out = {};
  else
    flights_.erase(micro);
}

// A slot that is passed through is a leaf and a root at once: autograd then adds what comes back for it to
// what this stage's own reading of it gives.
void StageRun::backward(int micro) {
  pipe_.enter(Phase::kBackward, micro);
  Flight& flight = flights_.at(micro);
  std::vector<at::Tensor> roots, gradients;
  if (last()) {
    roots.push_back(flight.loss);
    gradients.emplace_back();
  } else {
    for (const auto& [out, gradient] : {std::pair{flight.out.encoder, flight.gradient.encoder},
                                        std::pair{flight.out.decoder, flight.gradient.decoder}}) {
      if (!out.defined() || !out.requires_grad()) continue;
      roots.push_back(out);
      gradients.push_back(gradient);
    }
  }
  if (!roots.empty()) torch::autograd::backward(roots, gradients);
  roots.clear();
  flight.out = {};
  flight.loss.reset();
  flight.gradient = {};
  if (!received_gradients_) flights_.erase(micro);
}

void StageRun::receive_activations(int micro, std::vector<Receive>& receives) {
  const StageShape shape = calls_.receive_shape(micro);
  const auto memory = [&](std::int64_t tokens) {
    return tokens < 0 ? at::Tensor() : at::empty({tokens, shape.width}, shape.options);
  };
  StageIO& in = flights_[micro].in;
  in = {memory(shape.encoder_tokens), memory(shape.decoder_tokens)};
  list(in, pipe_.rank() - 1, receives);
}

void StageRun::exchange(const std::vector<Message>& messages) {
  std::vector<Send> sends;
  std::vector<Receive> receives;
  std::vector<StageIO> kept;  // what is sent, until it has left
  for (const Message& message : messages) {
    const int micro = message.of.micro;
    const bool activations = message.of.compute == Compute::kForward;
    if (message.send) {
      kept.push_back(activations ? contiguous(flights_.at(micro).out) : gradients_of(flights_.at(micro).in));
      list(kept.back(), message.peer, sends);
    } else if (activations) {
      receive_activations(micro, receives);
    } else {
      Flight& flight = flights_.at(micro);
      flight.gradient = memory_like(flight.out);
      list(flight.gradient, message.peer, receives);
    }
  }
  pipe_.exchange(sends, receives, Traffic::kPipeline);
  for (const Message& message : messages)
    if (message.send) after_send(message);
}

void StageRun::after_send(const Message& message) {
  if (message.of.compute == Compute::kBackward || !backward_) flights_.erase(message.of.micro);
}

}  // namespace trimtab
