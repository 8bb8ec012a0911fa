// SPDX-License-Identifier: Apache-2.0
//
// What NcclCommunicator is to ranks with a GPU each, for ranks that are threads with devices of
// models/fake_device.h: it takes the memory of devices and of the host, and where NCCL and MPI would wait for
// each other for ever, since two ranks took different memory for one call or message, both ranks throw.
#pragma once

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "runtime/check.h"
#include "runtime/communicator.h"
#include "runtime/world.h"

namespace trimtab::test {

class StandInNccl : public Communicator {
 public:
  explicit StandInNccl(std::unique_ptr<Communicator> ranks)
      : Communicator(ranks->name(), ranks->members(), ranks->rank(), DeviceKind::kCuda),
        ranks_(std::move(ranks)) {}

 private:
  using Kind = std::int32_t;

  bool takes(DeviceKind) const override { return true; }

  // The device's memory is the host's.
  static Buffer plain(const Buffer& buffer) { return {buffer.data, buffer.count, buffer.dtype}; }
  static ConstBuffer plain(const ConstBuffer& buffer) { return {buffer.data, buffer.count, buffer.dtype}; }
  static Kind kind_of(const ConstBuffer& buffer) { return static_cast<Kind>(buffer.device); }

  void require_same(Kind mine, Kind other, int rank, std::string_view call) const {
    if (other != mine)
      fail(
          "{} on '{}': rank {} took {} memory, but rank {} {} memory: NCCL and MPI would wait for each other",
          call, name(), members()[static_cast<std::size_t>(this->rank())],
          name_of(static_cast<DeviceKind>(mine)), members()[static_cast<std::size_t>(rank)],
          name_of(static_cast<DeviceKind>(other)));
  }
  void agree(const ConstBuffer& buffer, std::string_view call) {
    const Kind mine = kind_of(buffer);
    std::vector<Kind> all(static_cast<std::size_t>(size()));
    ranks_->all_gather({&mine, 1, DType::kInt32}, {all.data(), size(), DType::kInt32}, Traffic::kControl);
    for (int rank = 0; rank < size(); ++rank)
      require_same(mine, all[static_cast<std::size_t>(rank)], rank, call);
  }

  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    agree(buffer, "all_reduce");
    ranks_->all_reduce(plain(buffer), op, traffic);
  }
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override {
    agree(in, "reduce_scatter");
    ranks_->reduce_scatter(plain(in), plain(out), parts, op, traffic);
  }
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override {
    agree(in, "all_gather");
    ranks_->all_gather(plain(in), plain(out), parts, traffic);
  }
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override {
    agree(buffer, "broadcast");
    ranks_->broadcast(plain(buffer), root, traffic);
  }
  // In front of each message goes one that says of which memory it is.
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override {
    std::vector<Kind> sent, received(receives.size());
    for (const Send& send : sends) sent.push_back(kind_of(send.buffer));
    std::vector<Send> out;
    std::vector<Receive> in;
    for (std::size_t i = 0; i < sends.size(); ++i) {
      out.push_back({sends[i].to, {&sent[i], 1, DType::kInt32}});
      out.push_back({sends[i].to, plain(sends[i].buffer)});
    }
    for (std::size_t i = 0; i < receives.size(); ++i) {
      in.push_back({receives[i].from, {&received[i], 1, DType::kInt32}});
      in.push_back({receives[i].from, plain(receives[i].buffer)});
    }
    ranks_->exchange(out, in, traffic);
    for (std::size_t i = 0; i < receives.size(); ++i)
      require_same(kind_of(receives[i].buffer), received[i], receives[i].from, "exchange");
  }
  void do_barrier(Traffic traffic) override { ranks_->barrier(traffic); }

  std::unique_ptr<Communicator> ranks_;
};

// Passes all calls on to a communicator that somebody else owns.
class Borrowed : public Communicator {
 public:
  explicit Borrowed(Communicator& inner)
      : Communicator(inner.name(), inner.members(), inner.rank(), DeviceKind::kHost), inner_(inner) {}

 private:
  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    inner_.all_reduce(buffer, op, traffic);
  }
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override {
    inner_.reduce_scatter(in, out, parts, op, traffic);
  }
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override {
    inner_.all_gather(in, out, parts, traffic);
  }
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override {
    inner_.broadcast(buffer, root, traffic);
  }
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override {
    inner_.exchange(sends, receives, traffic);
  }
  void do_barrier(Traffic traffic) override { inner_.barrier(traffic); }

  Communicator& inner_;
};

// The world of a rank with a device, made of one of run_ranks(), which outlives it.
inline World world_of_devices(World& host) {
  const auto lent = [&](const std::vector<int>& members, const std::string& name) {
    for (const Axis axis : kAxes)
      if (name == name_of(axis)) return std::unique_ptr<Communicator>(new Borrowed(host.along(axis)));
    TT_CHECK(members == host.all().members(), "'{}' is no communicator of a world", name);
    return std::unique_ptr<Communicator>(new Borrowed(host.all()));
  };
  return World(host.mesh(), host.rank(), lent, [](std::unique_ptr<Communicator> ranks) {
    return std::make_unique<StandInNccl>(std::move(ranks));
  });
}

}  // namespace trimtab::test
