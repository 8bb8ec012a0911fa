// SPDX-License-Identifier: Apache-2.0
//
// A Communicator is an ordered list of ranks that act together, as one of them sees it. All calls but
// exchange() are collective: every member makes the same calls in the same order. World owns communicators;
// each is used by one thread at a time. The public functions check arguments and count traffic, so that every
// implementation behaves alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/activity.h"
#include "runtime/check.h"
#include "runtime/dtype.h"

namespace trimtab {

enum class DeviceKind { kHost, kCuda };
enum class ReduceOp { kSum, kMax, kMin };
// What a message is for: activations inside a tensor region, activations between stages, gradients,
// everything else.
enum class Traffic { kTensor, kPipeline, kGradient, kControl };

inline constexpr std::size_t kTrafficKinds = 4;

std::string_view name_of(DeviceKind kind);
std::string_view name_of(ReduceOp op);
std::string_view name_of(Traffic traffic);

// Contiguous memory of the caller, of `count` elements. `data` may be null only if count is 0.
struct Buffer {
  void* data = nullptr;
  std::int64_t count = 0;
  DType dtype = DType::kFloat32;
  DeviceKind device = DeviceKind::kHost;

  std::size_t bytes() const { return static_cast<std::size_t>(count) * size_of(dtype); }
};

// The same, to be read only.
struct ConstBuffer {
  const void* data = nullptr;
  std::int64_t count = 0;
  DType dtype = DType::kFloat32;
  DeviceKind device = DeviceKind::kHost;

  ConstBuffer() = default;
  ConstBuffer(const void* memory, std::int64_t elements, DType type, DeviceKind where = DeviceKind::kHost)
      : data(memory), count(elements), dtype(type), device(where) {}
  // Implicit: a Buffer goes wherever memory is only read.
  ConstBuffer(const Buffer& b)  // NOLINT(google-explicit-constructor)
      : data(b.data), count(b.count), dtype(b.dtype), device(b.device) {}

  std::size_t bytes() const { return static_cast<std::size_t>(count) * size_of(dtype); }
};

// Point-to-point messages. `to` and `from` count within the communicator. Messages between two ranks are
// matched in the order in which each side lists them.
struct Send {
  int to = 0;
  ConstBuffer buffer;
};
struct Receive {
  int from = 0;
  Buffer buffer;
};

// How a buffer of all ranks is cut: part r, of counts[r] elements, is rank r's, and parts lie in order.
class Parts {
 public:
  // Any counts >= 0, the same on every rank.
  explicit Parts(std::vector<std::int64_t> counts);
  // As many elements for each.
  static Parts of_same(std::int64_t count, int ranks) {
    return Parts(std::vector<std::int64_t>(static_cast<std::size_t>(ranks), count));
  }

  int ranks() const { return static_cast<int>(counts_.size()); }
  std::int64_t count(int rank) const { return counts_[static_cast<std::size_t>(rank)]; }
  std::int64_t begin(int rank) const { return begins_[static_cast<std::size_t>(rank)]; }
  std::int64_t total() const { return begins_.back(); }
  std::int64_t longest() const;
  bool even() const;
  // "parts of 5, 4, 3".
  std::string text() const;

 private:
  std::vector<std::int64_t> counts_;
  std::vector<std::int64_t> begins_;  // one more than there are ranks
};

// What this rank did for one purpose. Only what other ranks need of it is counted as messages and bytes, so a
// communicator of size 1 has calls alone. `bytes` is payload (an all_reduce counts its buffer once), whatever
// the algorithm underneath moves.
struct TrafficCount {
  std::int64_t calls = 0;
  std::int64_t messages = 0;
  std::int64_t bytes = 0;

  bool operator==(const TrafficCount&) const = default;
};

struct TrafficCounters {
  std::array<TrafficCount, kTrafficKinds> counts;

  const TrafficCount& operator[](Traffic traffic) const { return counts[static_cast<std::size_t>(traffic)]; }
  TrafficCounters& operator+=(const TrafficCounters& other);
  TrafficCounters& operator-=(const TrafficCounters& other);
};

// Another rank failed, so that what this rank waits for will never happen.
class PeerFailure : public Error {
 public:
  // `rank` is the world rank that failed; `where` is what this rank was doing.
  PeerFailure(int rank, std::string reason, std::string_view where);

  int rank() const { return rank_; }
  const std::string& reason() const { return reason_; }

 private:
  int rank_;
  std::string reason_;
};

// A rank waited longer than its deadline; the message says for whom and where.
class DeadlineExceeded : public Error {
 public:
  using Error::Error;
};

// Ranks made different calls where they should have made the same; the message has both calls.
class CallMismatch : public Error {
 public:
  using Error::Error;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  // "tensor", "all", ...: for messages.
  const std::string& name() const { return name_; }
  // This rank's place among the members, and their number.
  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  // World ranks, in the order of this communicator.
  const std::vector<int>& members() const { return members_; }

  // All functions below throw Error on misuse (null memory, negative count, types or counts that do not
  // agree, partly overlapping buffers, a rank out of range, memory of the wrong device), PeerFailure when
  // another rank failed. What buffers to be written then hold is undefined.

  // In place. Sums are taken in rank order, bfloat16 in float32 and rounded once, so all ranks get the same
  // bits. NaN wins in max and min.
  void all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic);
  // `in` holds size() parts of out.count elements, or the `parts` given, which may differ; `out` becomes the
  // reduction of the rank()-th parts. In place if `out` is the rank()-th part of `in`.
  void reduce_scatter(const ConstBuffer& in, const Buffer& out, ReduceOp op, Traffic traffic);
  void reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                      Traffic traffic);
  // `out` becomes the `in` of all ranks in order. In place if `in` is the rank()-th part of `out`.
  void all_gather(const ConstBuffer& in, const Buffer& out, Traffic traffic);
  void all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic);
  // `buffer` becomes the one of `root`.
  void broadcast(const Buffer& buffer, int root, Traffic traffic);
  // Sends and receives at once and returns when all are done: no order of the lists can deadlock. Not
  // collective: only the ranks named take part, and each message needs its counterpart, of the same kind of
  // memory. Messages to itself are copied.
  void exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic);
  // Returns when every member has called it.
  void barrier(Traffic traffic = Traffic::kControl);
  // Returns when the device has done what was queued on it: before the host reads device memory, so that it
  // waits here, with a deadline and noted for who watches, and not in a copy that never ends. Not collective.
  // Throws what a queued call came to. Nothing to do where calls return when they are done.
  void settle();
  // Ends what was queued and waits for other ranks, so that this process can end. Any thread may call it,
  // while another one waits in a call; only the destructor may follow.
  void give_up() { do_give_up(); }

  const TrafficCounters& counters() const { return counters_; }

  // From now on calls that may wait for others are noted in `activity`, which outlives this.
  void note_in(Activity& activity) { activity_ = &activity; }
  // Says what this rank does from now on, for those who wait for it. No message is sent.
  void enter(Phase phase, std::int64_t micro = -1) {
    if (activity_ != nullptr) activity_->enter(phase, micro);
  }

 protected:
  // `members` in order, `rank` this one's place among them, `device` the memory that this communicator moves.
  Communicator(std::string name, std::vector<int> members, int rank, DeviceKind device);

 private:
  // Arguments are checked, and count may be 0. A communicator of size 1 gets these calls, too.
  virtual void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) = 0;
  virtual void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                                 Traffic traffic) = 0;
  virtual void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts,
                             Traffic traffic) = 0;
  virtual void do_broadcast(const Buffer& buffer, int root, Traffic traffic) = 0;
  virtual void do_exchange(std::span<const Send> sends, std::span<const Receive> receives,
                           Traffic traffic) = 0;
  virtual void do_barrier(Traffic traffic) = 0;
  // Memory of which kind it takes.
  virtual bool takes(DeviceKind device) const { return device == device_; }
  // Whether do_settle() may have to wait.
  virtual bool has_queued() const { return false; }
  virtual void do_settle() {}
  virtual void do_give_up() {}

  void check_buffer(const ConstBuffer& buffer, std::string_view call) const;
  // The checks that reduce_scatter and all_gather share: `large` is all `parts`, `small` the rank()-th of
  // them, which is either outside of it or exactly that part of it.
  void check_parts(const ConstBuffer& small, const ConstBuffer& large, const Parts& parts,
                   std::string_view call) const;
  void check_peer(int peer, std::string_view call) const;
  // Whoever has no peers waits for nobody.
  NotedOperation noted(std::string_view call, Traffic traffic, std::size_t bytes) const {
    return {size() > 1 ? activity_ : nullptr, call, name_, name_of(traffic),
            static_cast<std::int64_t>(bytes)};
  }
  // Counts a call that gave `bytes` to the others in `messages` messages.
  void count(Traffic traffic, std::size_t messages, std::size_t bytes);

  std::string name_;
  std::vector<int> members_;
  int rank_;
  DeviceKind device_;
  TrafficCounters counters_;
  Activity* activity_ = nullptr;
};

// "all_reduce sum of 12 float32 (gradient)": what a call is, for messages and for comparing the calls of two
// ranks.
std::string describe_call(std::string_view call, const ConstBuffer& buffer, Traffic traffic);
// The same for a call on parts: of `buffer` where they are even, else "all_gather of 12 float32 in parts of
// 5, 4, 3 (tensor)".
std::string describe_call(std::string_view call, const ConstBuffer& buffer, const Parts& parts,
                          Traffic traffic);

}  // namespace trimtab
