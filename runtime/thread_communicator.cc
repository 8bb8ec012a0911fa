// SPDX-License-Identifier: Apache-2.0
//
// One mutex guards everything that the ranks share. A collective has two phases: all arrive and show their
// buffers, then all work on them at once, without the mutex; nobody leaves before the last has finished. A
// wait can fail only in the first phase, so no rank ever touches the memory of one that has unwound.
#include "runtime/thread_communicator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

#include "runtime/reduce.h"
#include "runtime/shard.h"

namespace trimtab {

namespace {

// What a member shows to the others while a collective runs.
struct Arrival {
  std::string call;  // must be the same on all members
  ConstBuffer in;
  Buffer out;
};

// A message on its way; lives on the stack of the sender, who waits until it is taken.
struct Posted {
  ConstBuffer buffer;
  enum class State { kWaiting, kCopying, kTaken } state = State::kWaiting;
};

// What the members of one communicator share.
struct Channel {
  std::string name;
  std::vector<int> members;
  std::vector<bool> given;  // to whom of the members an end was handed out
  std::condition_variable changed;
  std::int64_t operation = 0;  // collectives completed
  std::vector<const Arrival*> arrived;
  int arrivals = 0;
  int working = 0;                              // members between the phases, 0 while some have not arrived
  std::vector<std::deque<Posted*>> on_the_way;  // [from * size + to]

  Channel(std::string channel_name, std::vector<int> ranks)
      : name(std::move(channel_name)),
        members(std::move(ranks)),
        given(members.size(), false),
        arrived(members.size(), nullptr),
        on_the_way(members.size() * members.size()) {}

  std::deque<Posted*>& queue(int from, int to) {
    return on_the_way[static_cast<std::size_t>(from) * members.size() + static_cast<std::size_t>(to)];
  }
};

struct Failure {
  int rank = 0;
  std::string reason;
  bool mismatch = false;
};

using Lock = std::unique_lock<std::mutex>;

}  // namespace

struct ThreadGroup::State {
  State(int ranks, std::chrono::milliseconds limit)
      : deadline(limit), left(static_cast<std::size_t>(ranks), false) {}

  const std::chrono::milliseconds deadline;
  std::mutex mutex;
  std::vector<bool> left;
  std::optional<Failure> failure;
  std::deque<Channel> channels;

  // The functions below need the mutex.

  void fail_all(Failure why) {
    if (!failure) failure = std::move(why);
    for (Channel& channel : channels) channel.changed.notify_all();
  }

  void throw_failure(const std::string& where) const {
    if (!failure) return;
    if (failure->mismatch) throw CallMismatch(failure->reason);
    throw PeerFailure(failure->rank, failure->reason, where);
  }

  // Waits until `ready()`. `missing()` lists the world ranks that are waited for.
  void wait(Lock& lock, Channel& channel, int rank, const std::string& where,
            const std::function<bool()>& ready, const std::function<std::vector<int>()>& missing) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    bool expired = false;
    while (!ready()) {
      throw_failure(where);
      for (const int peer : missing())
        if (left[static_cast<std::size_t>(peer)])
          fail_all({.rank = peer, .reason = "its work ended, but others still wait for it"});
      throw_failure(where);
      if (expired) {
        const std::string text = fmt::format("{}: waited {} ms for ranks {}, which have not arrived", where,
                                             deadline.count(), fmt::join(missing(), ", "));
        fail_all({.rank = rank, .reason = text});
        throw DeadlineExceeded(text);
      }
      expired = channel.changed.wait_until(lock, until) == std::cv_status::timeout;
    }
  }
};

namespace {

// The messages of one exchange. However the exchange ends, they go only when no other rank can reach them.
// Made, used and destroyed with the mutex held.
class Outbox {
 public:
  Outbox(Lock& lock, Channel& channel, int from, std::span<const Send> sends)
      : lock_(lock), channel_(channel), from_(from), sends_(sends), posted_(sends.size()) {
    for (std::size_t i = 0; i < sends.size(); ++i) {
      posted_[i].buffer = sends[i].buffer;
      channel_.queue(from_, sends[i].to).push_back(&posted_[i]);
    }
    channel_.changed.notify_all();
  }
  ~Outbox() {
    for (std::size_t i = 0; i < sends_.size(); ++i) {
      std::erase(channel_.queue(from_, sends_[i].to), &posted_[i]);
      channel_.changed.wait(lock_, [&] { return posted_[i].state != Posted::State::kCopying; });
    }
  }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Members that have not taken their messages.
  std::set<int> waiting_for() const {
    std::set<int> members;
    for (std::size_t i = 0; i < sends_.size(); ++i)
      if (posted_[i].state != Posted::State::kTaken) members.insert(sends_[i].to);
    return members;
  }

 private:
  Lock& lock_;
  Channel& channel_;
  int from_;
  std::span<const Send> sends_;
  std::vector<Posted> posted_;
};

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(ThreadGroup::State& group, Channel& channel, int rank)
      : Communicator(channel.name, channel.members, rank, DeviceKind::kHost),
        group_(group),
        channel_(channel) {}

 private:
  using Work = std::function<void(const std::vector<const Arrival*>&)>;

  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override;
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override;
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override;
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override;
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override;
  void do_barrier(Traffic traffic) override;

  int world_rank(int member) const { return members()[static_cast<std::size_t>(member)]; }
  int me() const { return world_rank(rank()); }

  void meet(const Arrival& mine, const Work& work);
  void check_same_call(const std::string& mine);
  std::vector<int> not_arrived() const;

  void take(Lock& lock, const Receive& receive);

  ThreadGroup::State& group_;
  Channel& channel_;
};

void ThreadCommunicator::meet(const Arrival& mine, const Work& work) {
  Lock lock(group_.mutex);
  const std::int64_t operation = channel_.operation;
  const std::string where =
      fmt::format("rank {}, operation {} on '{}', {}", me(), operation, name(), mine.call);
  group_.throw_failure(where);
  check_same_call(mine.call);
  channel_.arrived[static_cast<std::size_t>(rank())] = &mine;
  if (++channel_.arrivals == size()) {
    channel_.working = size();
    channel_.changed.notify_all();
  } else {
    group_.wait(
        lock, channel_, me(), where, [&] { return channel_.working > 0; }, [&] { return not_arrived(); });
  }
  lock.unlock();
  work(channel_.arrived);
  lock.lock();
  if (--channel_.working == 0) {
    channel_.arrivals = 0;
    std::fill(channel_.arrived.begin(), channel_.arrived.end(), nullptr);
    ++channel_.operation;
    channel_.changed.notify_all();
  } else {
    // The others are copying memory and cannot fail, so this needs no deadline.
    channel_.changed.wait(lock, [&] { return channel_.operation != operation; });
  }
}

void ThreadCommunicator::check_same_call(const std::string& mine) {
  for (int other = 0; other < size(); ++other) {
    const Arrival* arrival = channel_.arrived[static_cast<std::size_t>(other)];
    if (arrival == nullptr || arrival->call == mine) continue;
    group_.fail_all(
        {.rank = me(),
         .reason = fmt::format("operation {} on '{}': rank {} called {}, but rank {} called {}",
                               channel_.operation, name(), world_rank(other), arrival->call, me(), mine),
         .mismatch = true});
    group_.throw_failure("");
  }
}

std::vector<int> ThreadCommunicator::not_arrived() const {
  std::vector<int> missing;
  for (int member = 0; member < size(); ++member)
    if (channel_.arrived[static_cast<std::size_t>(member)] == nullptr) missing.push_back(world_rank(member));
  return missing;
}

// Each rank reduces its share of the elements and writes it into the buffers of all.
void ThreadCommunicator::do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) {
  const std::string call = fmt::format("all_reduce {}", name_of(op));
  meet({describe_call(call, buffer, traffic), buffer, buffer}, [&](const std::vector<const Arrival*>& all) {
    const Share mine = share(buffer.count, rank(), size(), Uneven::kAllow);
    std::vector<const void*> parts;
    std::vector<void*> outs;
    for (const Arrival* arrival : all) {
      parts.push_back(arrival->in.data);
      outs.push_back(arrival->out.data);
    }
    reduce_in_order(parts, outs, mine.begin, mine.count, buffer.dtype, op);
  });
}

void ThreadCommunicator::do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts,
                                           ReduceOp op, Traffic traffic) {
  const std::string call = fmt::format("reduce_scatter {}", name_of(op));
  meet({describe_call(call, in, parts, traffic), in, out}, [&](const std::vector<const Arrival*>& all) {
    if (out.count == 0) return;
    std::vector<const void*> ins;
    for (const Arrival* arrival : all)
      ins.push_back(static_cast<const std::byte*>(arrival->in.data) +
                    static_cast<std::size_t>(parts.begin(rank())) * size_of(in.dtype));
    void* const outs[] = {out.data};
    reduce_in_order(ins, outs, 0, out.count, out.dtype, op);
  });
}

void ThreadCommunicator::do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts,
                                       Traffic traffic) {
  meet({describe_call("all_gather", in, parts, traffic), in, out},
       [&](const std::vector<const Arrival*>& all) {
         auto* to = static_cast<std::byte*>(out.data);
         for (const Arrival* arrival : all) {
           const ConstBuffer& from = arrival->in;
           if (from.count > 0 && from.data != to) std::memcpy(to, from.data, from.bytes());
           if (from.count > 0) to += from.bytes();
         }
       });
}

void ThreadCommunicator::do_broadcast(const Buffer& buffer, int root, Traffic traffic) {
  const std::string call = fmt::format("broadcast from {}", world_rank(root));
  meet({describe_call(call, buffer, traffic), buffer, buffer}, [&](const std::vector<const Arrival*>& all) {
    const void* from = all[static_cast<std::size_t>(root)]->in.data;
    if (buffer.count > 0 && buffer.data != from) std::memcpy(buffer.data, from, buffer.bytes());
  });
}

void ThreadCommunicator::do_barrier(Traffic traffic) {
  meet({fmt::format("barrier ({})", name_of(traffic)), {}, {}}, [](const std::vector<const Arrival*>&) {});
}

// Copies the oldest message of a sender and lets it go. The queue is not empty.
void ThreadCommunicator::take(Lock& lock, const Receive& receive) {
  std::deque<Posted*>& messages = channel_.queue(receive.from, rank());
  Posted& message = *messages.front();
  if (message.buffer.count != receive.buffer.count || message.buffer.dtype != receive.buffer.dtype) {
    group_.fail_all(
        {.rank = me(),
         .reason = fmt::format("exchange on '{}': rank {} sent {} {}, but rank {} receives {} {}", name(),
                               world_rank(receive.from), message.buffer.count, name_of(message.buffer.dtype),
                               me(), receive.buffer.count, name_of(receive.buffer.dtype)),
         .mismatch = true});
    group_.throw_failure("");
  }
  messages.pop_front();
  message.state = Posted::State::kCopying;
  lock.unlock();
  if (receive.buffer.count > 0)
    std::memmove(receive.buffer.data, message.buffer.data, message.buffer.bytes());
  lock.lock();
  message.state = Posted::State::kTaken;
  channel_.changed.notify_all();
}

void ThreadCommunicator::do_exchange(std::span<const Send> sends, std::span<const Receive> receives,
                                     Traffic traffic) {
  const std::string where = fmt::format("rank {}, exchange on '{}' of {} sends and {} receives ({})", me(),
                                        name(), sends.size(), receives.size(), name_of(traffic));
  Lock lock(group_.mutex);
  group_.throw_failure(where);
  const Outbox outbox(lock, channel_, rank(), sends);
  std::vector<const Receive*> pending;
  for (const Receive& receive : receives) pending.push_back(&receive);

  // Any message that has arrived is taken, but those of one sender in order: the first pending one gets the
  // oldest.
  const auto takeable = [&] {
    return std::find_if(pending.begin(), pending.end(),
                        [&](auto* r) { return !channel_.queue(r->from, rank()).empty(); });
  };
  const auto missing = [&] {
    std::set<int> peers = outbox.waiting_for();
    for (const Receive* receive : pending) peers.insert(receive->from);
    std::vector<int> ranks;
    for (const int peer : peers) ranks.push_back(world_rank(peer));
    return ranks;
  };
  while (!pending.empty() || !outbox.waiting_for().empty()) {
    const auto next = takeable();
    if (next != pending.end()) {
      const Receive& receive = **next;
      pending.erase(next);
      take(lock, receive);
    } else {
      const auto ready = [&] {
        return takeable() != pending.end() || (pending.empty() && outbox.waiting_for().empty());
      };
      group_.wait(lock, channel_, me(), where, ready, missing);
    }
  }
}

}  // namespace

ThreadGroup::ThreadGroup(int ranks, std::chrono::milliseconds deadline) {
  if (ranks < 1) fail("a group of {} threads makes no sense", ranks);
  state_ = std::make_unique<State>(ranks, deadline);
}

ThreadGroup::~ThreadGroup() = default;

int ThreadGroup::size() const { return static_cast<int>(state_->left.size()); }

std::unique_ptr<Communicator> ThreadGroup::communicator(int rank, const std::vector<int>& members,
                                                        const std::string& name) {
  const auto place = std::find(members.begin(), members.end(), rank);
  if (place == members.end())
    fail("rank {} is not a member of '{}': {}", rank, name, fmt::join(members, ", "));
  const std::set<int> distinct(members.begin(), members.end());
  if (distinct.size() != members.size() || *distinct.begin() < 0 || *distinct.rbegin() >= size())
    fail("'{}' needs distinct ranks below {}, not {}", name, size(), fmt::join(members, ", "));
  const auto index = static_cast<std::size_t>(place - members.begin());
  const Lock lock(state_->mutex);
  auto& channels = state_->channels;
  auto channel = std::find_if(channels.begin(), channels.end(), [&](const Channel& c) {
    return c.name == name && c.members == members && !c.given[index];
  });
  if (channel == channels.end()) {
    channels.emplace_back(name, members);
    channel = std::prev(channels.end());
  }
  channel->given[index] = true;
  return std::make_unique<ThreadCommunicator>(*state_, *channel, static_cast<int>(index));
}

void ThreadGroup::abort(int rank, const std::string& reason) {
  const Lock lock(state_->mutex);
  state_->fail_all({.rank = rank, .reason = reason});
}

void ThreadGroup::leave(int rank) {
  const Lock lock(state_->mutex);
  TT_CHECK(rank >= 0 && rank < size(), "rank {} of {}", rank, size());
  state_->left[static_cast<std::size_t>(rank)] = true;
  for (Channel& channel : state_->channels) channel.changed.notify_all();
}

std::optional<int> ThreadGroup::failed_rank() const {
  const Lock lock(state_->mutex);
  return state_->failure ? std::optional(state_->failure->rank) : std::nullopt;
}

}  // namespace trimtab
