// SPDX-License-Identifier: Apache-2.0
#include "parallel/schedule.h"

#include <algorithm>
#include <map>
#include <set>

namespace trimtab {
namespace {

void check_shape(const ScheduleShape& shape, int stage) {
  TT_CHECK(shape.stages >= 1 && shape.micro_batches >= 0 && stage >= 0 && stage < shape.stages &&
               shape.first_trained >= 0,
           "stage {} of {} with {} micro-batches, trained from stage {}", stage, shape.stages,
           shape.micro_batches, shape.first_trained);
}

std::vector<Work> forward_only(const ScheduleShape& shape, int) {
  std::vector<Work> order;
  for (int m = 0; m < shape.micro_batches; ++m) order.push_back({Compute::kForward, m});
  return order;
}

std::vector<Work> gpipe(const ScheduleShape& shape, int stage) {
  std::vector<Work> order = forward_only(shape, stage);
  if (stage < shape.first_trained) return order;
  for (int m = 0; m < shape.micro_batches; ++m) order.push_back({Compute::kBackward, m});
  return order;
}

// PipeDream-Flush (Narayanan et al. 2021, section 2.2): as many forward passes as there are stages behind
// this one, then backward and forward in turns.
std::vector<Work> one_forward_one_backward(const ScheduleShape& shape, int stage) {
  if (stage < shape.first_trained) return forward_only(shape, stage);
  std::vector<Work> order;
  const int ahead = std::min(shape.stages - 1 - stage, shape.micro_batches);
  for (int m = 0; m < ahead; ++m) order.push_back({Compute::kForward, m});
  for (int m = 0; m < shape.micro_batches; ++m) {
    if (m + ahead < shape.micro_batches) order.push_back({Compute::kForward, m + ahead});
    order.push_back({Compute::kBackward, m});
  }
  return order;
}

// Whether gradients go from `stage` to the one before it.
bool sends_gradient(const ScheduleShape& shape, int stage) {
  return stage > 0 && shape.first_trained <= stage - 1;
}

std::optional<Message> input_of(const Work& work, const ScheduleShape& shape, int stage) {
  if (work.compute == Compute::kForward && stage > 0) return Message{false, work, stage - 1};
  if (work.compute == Compute::kBackward && stage + 1 < shape.stages) return Message{false, work, stage + 1};
  return std::nullopt;
}

std::optional<Message> output_of(const Work& work, const ScheduleShape& shape, int stage) {
  if (work.compute == Compute::kForward && stage + 1 < shape.stages) return Message{true, work, stage + 1};
  if (work.compute == Compute::kBackward && sends_gradient(shape, stage))
    return Message{true, work, stage - 1};
  return std::nullopt;
}

// The stages while find_deadlock() runs their lists.
class Simulation {
 public:
  explicit Simulation(const std::vector<Actions>& stages) : stages_(stages), at_(stages.size(), 0) {
    for (std::size_t s = 0; s < stages.size(); ++s) enter(s);
  }

  std::optional<std::string> run() {
    while (step())
      if (!mismatch_.empty()) return mismatch_;
    for (std::size_t s = 0; s < stages_.size(); ++s)
      if (!ended(s)) return follow(s);
    return std::nullopt;
  }

 private:
  bool ended(std::size_t s) const { return at_[s] == stages_[s].size(); }

  // Passes over work up to the next exchange, whose messages become pending.
  void enter(std::size_t s) {
    while (!ended(s) && stages_[s][at_[s]].messages.empty()) ++at_[s];
    if (!ended(s)) pending_[s] = stages_[s][at_[s]].messages;
  }

  // The first pending message of `s` to or from `peer`.
  const Message* first(std::size_t s, bool send, std::size_t peer) const {
    const auto found = pending_.find(s);
    if (found == pending_.end()) return nullptr;
    for (const Message& m : found->second)
      if (m.send == send && static_cast<std::size_t>(m.peer) == peer) return &m;
    return nullptr;
  }

  void remove(std::size_t s, const Message& message) {
    std::vector<Message>& list = pending_[s];
    list.erase(std::find(list.begin(), list.end(), message));
    if (!list.empty()) return;
    pending_.erase(s);
    ++at_[s];
    enter(s);
  }

  // Lets one message meet its counterpart; false if none can.
  bool step() {
    for (std::size_t from = 0; from < stages_.size(); ++from)
      for (std::size_t to = 0; to < stages_.size(); ++to) {
        const Message* sent = first(from, true, to);
        const Message* wanted = sent ? first(to, false, from) : nullptr;
        if (!wanted) continue;
        const Message a = *sent, b = *wanted;
        if (!(a.of == b.of))
          mismatch_ =
              fmt::format("stage {} sends {}, but stage {} receives {}", from, text_of(a), to, text_of(b));
        remove(from, a);
        remove(to, b);
        return true;
      }
    return false;
  }

  // The waits from `start` on, or those of the circle that they lead to.
  std::string follow(std::size_t start) const {
    std::set<std::size_t> seen;
    std::size_t s = start;
    while (!ended(s) && seen.insert(s).second) s = waited_for(s);
    const bool circle = !ended(s);
    const std::size_t origin = circle ? s : start;
    std::string text = circle ? "deadlock: " : "endless wait: ";
    s = origin;
    do {
      const Message& wait = pending_.at(s).front();
      text += fmt::format("{}stage {} waits in action {} {} {}", s == origin ? "" : ", which is: ", s, at_[s],
                          wait.send ? "to send" : "to receive", text_of(wait));
      s = waited_for(s);
    } while (!ended(s) && s != origin);
    return text + (circle ? ", where the circle closes" : ", which has ended");
  }

  std::size_t waited_for(std::size_t s) const {
    return static_cast<std::size_t>(pending_.at(s).front().peer);
  }

  const std::vector<Actions>& stages_;
  std::vector<std::size_t> at_;
  std::map<std::size_t, std::vector<Message>> pending_;
  std::string mismatch_;
};

}  // namespace

const Registry<ScheduleOrder>& schedule_registry() {
  static const Registry<ScheduleOrder> table(
      "pipeline schedule",
      {{"1f1b", one_forward_one_backward}, {"gpipe", gpipe}, {"forward_only", forward_only}});
  return table;
}

Actions schedule_actions(const std::string& schedule, const ScheduleShape& shape, int stage) {
  check_shape(shape, stage);
  return with_exchanges(schedule_registry().find(schedule)(shape, stage), shape, stage);
}

Actions with_exchanges(const std::vector<Work>& order, const ScheduleShape& shape, int stage) {
  check_shape(shape, stage);
  Actions actions;
  std::vector<Message> messages;
  const auto flush = [&] {
    if (!messages.empty()) actions.push_back({std::nullopt, messages});
    messages.clear();
  };
  for (const Work& work : order) {
    if (const auto input = input_of(work, shape, stage)) messages.push_back(*input);
    flush();
    actions.push_back({work, {}});
    if (const auto output = output_of(work, shape, stage)) messages.push_back(*output);
  }
  flush();
  return actions;
}

int most_in_flight(const Actions& actions) {
  int now = 0, most = 0;
  for (const Action& action : actions) {
    if (!action.work) continue;
    now += action.work->compute == Compute::kForward ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

std::optional<std::string> find_deadlock(const std::vector<Actions>& stages) {
  for (std::size_t s = 0; s < stages.size(); ++s)
    for (const Action& action : stages[s])
      for (const Message& m : action.messages)
        if (m.peer < 0 || static_cast<std::size_t>(m.peer) >= stages.size() ||
            static_cast<std::size_t>(m.peer) == s)
          return fmt::format("stage {} has a message for stage {} of {}", s, m.peer, stages.size());
  return Simulation(stages).run();
}

std::string text_of(const Message& message) {
  return fmt::format("{} of micro-batch {} {} stage {}",
                     message.of.compute == Compute::kForward ? "activations" : "gradients", message.of.micro,
                     message.send ? "to" : "from", message.peer);
}

}  // namespace trimtab
