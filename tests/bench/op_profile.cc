// SPDX-License-Identifier: Apache-2.0
#include "bench/op_profile.h"

#include <ATen/record_function.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/check.h"

namespace trimtab::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Total {
  double seconds = 0;
  long calls = 0;
};

struct Frame : at::ObserverContext {
  Clock::time_point begin;
  Frame* parent = nullptr;
  double inside = 0;  // seconds of the frames in this one
  bool backward = false;
};

}  // namespace

struct OpProfile::State {
  Frame* innermost = nullptr;
  std::map<std::string, Total> totals;
};

namespace {

// LibTorch's callbacks are plain functions, so what they add to has to be found by them.
thread_local OpProfile::State* active = nullptr;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  auto frame = std::make_unique<Frame>();
  frame->parent = std::exchange(active->innermost, frame.get());
  frame->backward = function.scope() == at::RecordScope::BACKWARD_FUNCTION ||
                    (frame->parent != nullptr && frame->parent->backward);
  frame->begin = Clock::now();
  return frame;
}

// "torch::autograd::CppNode<trimtab::(anonymous namespace)::GatedGelu>" is our own GatedGelu.
std::string readable(std::string name) {
  if (name.find("CppNode<") == std::string::npos) return name;
  while (!name.empty() && name.back() == '>') name.pop_back();
  return "trimtab " + name.substr(name.rfind(':') + 1);
}

void leave(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto* frame = static_cast<Frame*>(context);
  const double seconds = std::chrono::duration<double>(Clock::now() - frame->begin).count();
  Total& total = active->totals[(frame->backward ? "backward  " : "forward   ") + readable(function.name())];
  total.seconds += seconds - frame->inside;
  ++total.calls;
  if (frame->parent != nullptr) frame->parent->inside += seconds;
  active->innermost = frame->parent;
}

}  // namespace

OpProfile::OpProfile() : state_(std::make_unique<State>()) {
  TT_CHECK(active == nullptr, "a profile is being made on this thread already");
  active = state_.get();
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(enter, leave));
}

void OpProfile::stop() {
  if (!std::exchange(running_, false)) return;
  at::removeCallback(handle_);
  active = nullptr;
}

OpProfile::~OpProfile() { stop(); }

std::string OpProfile::table(double least_share) {
  stop();
  std::vector<std::pair<std::string, Total>> rows(state_->totals.begin(), state_->totals.end());
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double all = 0;
  for (const auto& [name, total] : rows) all += total.seconds;
  std::string out = fmt::format("{:>6}  {:>9}  {:>7}  {}\n", "share", "seconds", "calls",
                                "operation, without what is in it");
  Total rest;
  for (const auto& [name, total] : rows) {
    if (total.seconds >= least_share * all) {
      out += fmt::format("{:5.1f}%  {:9.4f}  {:7}  {}\n", 100 * total.seconds / all, total.seconds,
                         total.calls, name);
    } else {
      rest.seconds += total.seconds;
      rest.calls += total.calls;
    }
  }
  return out +
         fmt::format("{:5.1f}%  {:9.4f}  {:7}  all others\n", 100 * rest.seconds / all, rest.seconds,
                     rest.calls) +
         fmt::format("{:5.1f}%  {:9.4f}\n", 100.0, all);
}

}  // namespace trimtab::bench
