// SPDX-License-Identifier: Apache-2.0
//
// A communicator for host memory that moves it as device memory through another one: so the bodies of
// communicator_conformance.h, which look at what they sent and got, run over NCCL as over the others.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <utility>
#include <vector>

#include "runtime/check.h"
#include "runtime/communicator.h"

namespace trimtab::test {

// Memory of the device that holds what the host's holds; to come back when asked.
class DeviceCopy {
 public:
  explicit DeviceCopy(const ConstBuffer& host) : host_(host) {
    check(cudaMalloc(&memory_, host.bytes() == 0 ? 1 : host.bytes()));
    if (host.bytes() > 0) check(cudaMemcpy(memory_, host.data, host.bytes(), cudaMemcpyHostToDevice));
  }
  ~DeviceCopy() { cudaFree(memory_); }
  DeviceCopy(const DeviceCopy&) = delete;
  DeviceCopy& operator=(const DeviceCopy&) = delete;

  Buffer all() const { return {memory_, host_.count, host_.dtype, DeviceKind::kCuda}; }
  bool holds(const ConstBuffer& part) const {
    const auto* first = static_cast<const char*>(host_.data);
    const auto* other = static_cast<const char*>(part.data);
    return other >= first && other < first + host_.bytes();
  }
  Buffer part(const ConstBuffer& part) const {
    const auto offset = static_cast<const char*>(part.data) - static_cast<const char*>(host_.data);
    return {static_cast<char*>(memory_) + offset, part.count, part.dtype, DeviceKind::kCuda};
  }
  void back(const Buffer& to) const {
    const Buffer from = holds(to) ? part(to) : all();
    if (to.bytes() > 0) check(cudaMemcpy(to.data, from.data, to.bytes(), cudaMemcpyDeviceToHost));
  }

 private:
  static void check(cudaError_t status) {
    if (status != cudaSuccess) fail("{}", cudaGetErrorString(status));
  }
  ConstBuffer host_;
  void* memory_ = nullptr;
};

class StagedCommunicator : public Communicator {
 public:
  explicit StagedCommunicator(std::unique_ptr<Communicator> device)
      : Communicator(device->name(), device->members(), device->rank(), DeviceKind::kHost),
        device_(std::move(device)) {}

 private:
  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    const DeviceCopy copy(buffer);
    device_->all_reduce(copy.all(), op, traffic);
    copy.back(buffer);
  }
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override {
    const DeviceCopy from(in);
    if (from.holds(out)) {
      device_->reduce_scatter(from.all(), from.part(out), parts, op, traffic);
      return from.back(out);
    }
    const DeviceCopy to(out);
    device_->reduce_scatter(from.all(), to.all(), parts, op, traffic);
    to.back(out);
  }
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override {
    const DeviceCopy to(out);
    if (to.holds(in)) {
      device_->all_gather(to.part(in), to.all(), parts, traffic);
    } else {
      const DeviceCopy from(in);
      device_->all_gather(from.all(), to.all(), parts, traffic);
    }
    to.back(out);
  }
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override {
    const DeviceCopy copy(buffer);
    device_->broadcast(copy.all(), root, traffic);
    copy.back(buffer);
  }
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override {
    std::vector<std::unique_ptr<DeviceCopy>> out, in;
    std::vector<Send> device_sends;
    std::vector<Receive> device_receives;
    for (const auto& [to, buffer] : sends) {
      out.push_back(std::make_unique<DeviceCopy>(buffer));
      device_sends.push_back({to, out.back()->all()});
    }
    for (const auto& [from, buffer] : receives) {
      in.push_back(std::make_unique<DeviceCopy>(buffer));
      device_receives.push_back({from, in.back()->all()});
    }
    device_->exchange(device_sends, device_receives, traffic);
    for (std::size_t i = 0; i < in.size(); ++i) in[i]->back(receives[i].buffer);
  }
  void do_barrier(Traffic traffic) override { device_->barrier(traffic); }

  std::unique_ptr<Communicator> device_;
};

}  // namespace trimtab::test
