// SPDX-License-Identifier: Apache-2.0
#include "runtime/nccl_communicator.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <ranges>
#include <thread>
#include <utility>

namespace trimtab {
namespace {

void check_cuda(cudaError_t status, std::string_view call) {
  if (status != cudaSuccess) fail("{}: {}", call, cudaGetErrorString(status));
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kBFloat16:
      return ncclBfloat16;
    case DType::kInt32:
      return ncclInt32;
    case DType::kInt64:
      return ncclInt64;
  }
  fail("NCCL moves no {}", name_of(dtype));
}

ncclRedOp_t operation_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return ncclSum;
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
  }
  fail("NCCL does not know the reduction {}", name_of(op));
}

class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> control, const NcclOptions& options)
      : Communicator(control->name(), control->members(), control->rank(), DeviceKind::kCuda),
        control_(std::move(control)),
        stream_(static_cast<cudaStream_t>(options.stream)),
        deadline_(options.deadline),
        queue_(options.queue ? options.queue : std::make_shared<SharedQueue>()) {
    ncclUniqueId id;
    if (rank() == 0) require(ncclGetUniqueId(&id), "ncclGetUniqueId");
    std::vector<std::int32_t> words(sizeof id / sizeof(std::int32_t));
    std::memcpy(words.data(), &id, sizeof id);
    control_->broadcast({words.data(), static_cast<std::int64_t>(words.size()), DType::kInt32}, 0,
                        Traffic::kControl);
    std::memcpy(&id, words.data(), sizeof id);
    // Non-blocking: NCCL's calls return while they are in progress, so that a dead rank cannot hold this one.
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    finish(ncclCommInitRankConfig(&comm_, size(), id, rank(), &config), "ncclCommInitRank");
    check_cuda(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming), "cudaEventCreate");
    member_.emplace(*queue_, [this](const std::string& what) { require_healthy(what); });
  }

  // Without ncclCommFinalize, which waits for the other ranks: whoever needs their results has waited.
  ~NcclCommunicator() override {
    if (done_ != nullptr) cudaEventDestroy(done_);
    end_nccl();
  }

 private:
  // Host memory goes the way of `control`.
  bool takes(DeviceKind) const override { return true; }

  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    if (buffer.device == DeviceKind::kHost) return control_->all_reduce(buffer, op, traffic);
    queue(describe_call("all_reduce", buffer, traffic), [&] {
      return ncclAllReduce(buffer.data, buffer.data, elements(buffer), type_of(buffer.dtype),
                           operation_of(op), comm_, stream_);
    });
  }

  // NCCL's own calls know even parts only; uneven ones are reduced to, or sent by, one rank after the other
  // in one group.
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override {
    if (in.device == DeviceKind::kHost) return control_->reduce_scatter(in, out, parts, op, traffic);
    queue(describe_call("reduce_scatter", in, parts, traffic), [&] {
      if (parts.even())
        return ncclReduceScatter(in.data, out.data, elements(out), type_of(out.dtype), operation_of(op),
                                 comm_, stream_);
      return for_parts(parts, in.dtype, [&](int root, std::size_t offset, std::size_t count) {
        return ncclReduce(static_cast<const std::byte*>(in.data) + offset, out.data, count, type_of(in.dtype),
                          operation_of(op), root, comm_, stream_);
      });
    });
  }

  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override {
    if (in.device == DeviceKind::kHost) return control_->all_gather(in, out, parts, traffic);
    queue(describe_call("all_gather", in, parts, traffic), [&] {
      if (parts.even())
        return ncclAllGather(in.data, out.data, elements(in), type_of(in.dtype), comm_, stream_);
      return for_parts(parts, out.dtype, [&](int root, std::size_t offset, std::size_t count) {
        std::byte* part = static_cast<std::byte*>(out.data) + offset;
        return ncclBroadcast(root == rank() ? in.data : part, part, count, type_of(out.dtype), root, comm_,
                             stream_);
      });
    });
  }

  // call(rank, its part's offset in bytes, its elements) of each part that has any, as one group.
  template <class Call>
  ncclResult_t for_parts(const Parts& parts, DType dtype, const Call& call) {
    return grouped([&](const auto& keep) {
      for (int member = 0; member < size(); ++member)
        if (parts.count(member) > 0)
          keep(call(member, static_cast<std::size_t>(parts.begin(member)) * size_of(dtype),
                    static_cast<std::size_t>(parts.count(member))));
    });
  }

  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override {
    if (buffer.device == DeviceKind::kHost) return control_->broadcast(buffer, root, traffic);
    queue(describe_call("broadcast", buffer, traffic), [&] {
      return ncclBroadcast(buffer.data, buffer.data, elements(buffer), type_of(buffer.dtype), root, comm_,
                           stream_);
    });
  }

  // One group, so that no order of sends and receives can lock. NCCL matches the messages of two ranks in
  // order, those to itself included. The device's are only queued, so that those of the host, which are
  // waited for, lock with them in no order either.
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override {
    const auto of = [](DeviceKind kind, const auto& messages) {
      std::vector<std::ranges::range_value_t<decltype(messages)>> some;
      for (const auto& message : messages)
        if (message.buffer.device == kind) some.push_back(message);
      return some;
    };
    const auto out = of(DeviceKind::kCuda, sends);
    const auto in = of(DeviceKind::kCuda, receives);
    if (!out.empty() || !in.empty()) {
      const ConstBuffer first = out.empty() ? ConstBuffer(in.front().buffer) : out.front().buffer;
      queue(describe_call("exchange", first, traffic), [&] {
        return grouped([&](const auto& keep) {
          for (const auto& [to, buffer] : out)
            keep(ncclSend(buffer.data, elements(buffer), type_of(buffer.dtype), to, comm_, stream_));
          for (const auto& [from, buffer] : in)
            keep(ncclRecv(buffer.data, elements(buffer), type_of(buffer.dtype), from, comm_, stream_));
        });
      });
    }
    if (out.size() < sends.size() || in.size() < receives.size())
      control_->exchange(of(DeviceKind::kHost, sends), of(DeviceKind::kHost, receives), traffic);
  }

  // Calls that NCCL takes as one; `calls` gives the result of each to what it is handed.
  template <class Calls>
  ncclResult_t grouped(const Calls& calls) {
    ncclGroupStart();
    ncclResult_t result = ncclSuccess;
    calls([&](ncclResult_t status) {
      if (status != ncclSuccess && status != ncclInProgress) result = status;
    });
    const ncclResult_t ended = ncclGroupEnd();
    return result != ncclSuccess ? result : ended;
  }

  // The device has done all that was queued, and every rank says so.
  void do_barrier(Traffic traffic) override {
    wait_for_device("barrier");
    control_->barrier(traffic);
  }

  // Others of this rank may have queued on the same stream.
  bool has_queued() const override { return true; }
  void do_settle() override {
    if (failure_) std::rethrow_exception(failure_);
    wait_for_device("settle");
  }

  void do_give_up() override { end_nccl(); }

  // Kernels that wait for other ranks end, too.
  void end_nccl() {
    const std::scoped_lock lock(mutex_);
    if (comm_ != nullptr) ncclCommAbort(std::exchange(comm_, nullptr));
  }

  void wait_for_device(const std::string& what) {
    check_cuda(cudaEventRecord(done_, stream_), "cudaEventRecord");
    wait_for(what, [&] { return cudaEventQuery(done_) != cudaErrorNotReady; });
    check_cuda(cudaEventQuery(done_), what);
    queue_->check_all(what);  // what was ended is done, too
  }

  template <class Call>
  void queue(const std::string& what, const Call& call) {
    if (failure_) std::rethrow_exception(failure_);
    finish(used(call), what);
  }

  // What `call` returns, which no other thread ends the communicator under.
  template <class Call>
  ncclResult_t used(const Call& call) {
    const std::scoped_lock lock(mutex_);
    if (comm_ == nullptr) fail("'{}' was given up: the job ends", name());
    return call();
  }

  // Returns when NCCL has queued the call.
  void finish(ncclResult_t status, const std::string& what) {
    require(status, what);
    wait_for(what, [&] {
      ncclResult_t state = ncclSuccess;
      require(used([&] { return ncclCommGetAsyncError(comm_, &state); }), what);
      require(state, what);
      return state != ncclInProgress;
    });
  }

  template <class Done>
  void wait_for(const std::string& what, const Done& done) {
    const auto end = std::chrono::steady_clock::now() + deadline_;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end)
        abandon(std::make_exception_ptr(DeadlineExceeded(
            fmt::format("{} on '{}': the device did not end it within {} ms; another rank has not come", what,
                        name(), deadline_.count()))));
      queue_->check_all(what);
      std::this_thread::yield();
    }
  }

  void require_healthy(const std::string& what) {
    if (failure_) std::rethrow_exception(failure_);
    ncclResult_t state = ncclSuccess;
    require(used([&] { return ncclCommGetAsyncError(comm_, &state); }), what);
    require(state, what);
  }

  void require(ncclResult_t status, const std::string& what) {
    if (status == ncclSuccess || status == ncclInProgress) return;
    const std::string reason =
        fmt::format("{}: {}", ncclGetErrorString(status), comm_ == nullptr ? "" : ncclGetLastError(comm_));
    if (status == ncclRemoteError || status == ncclSystemError)
      abandon(std::make_exception_ptr(PeerFailure(-1, reason, fmt::format("{} on '{}'", what, name()))));
    abandon(std::make_exception_ptr(Error(fmt::format("{} on '{}': {}", what, name(), reason))));
  }

  // Kernels that wait for other ranks end, so that this process can.
  [[noreturn]] void abandon(std::exception_ptr failure) {
    failure_ = std::move(failure);
    end_nccl();
    std::rethrow_exception(failure_);
  }

  static std::size_t elements(const ConstBuffer& buffer) { return static_cast<std::size_t>(buffer.count); }

  std::unique_ptr<Communicator> control_;
  cudaStream_t stream_;
  std::chrono::milliseconds deadline_;
  std::mutex mutex_;  // of comm_, which do_give_up() takes away, on whatever thread
  ncclComm_t comm_ = nullptr;
  cudaEvent_t done_ = nullptr;
  std::exception_ptr failure_;
  std::shared_ptr<SharedQueue> queue_;
  std::optional<SharedQueue::Member> member_;
};

}  // namespace

int visible_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) fail_config("no GPU can be used: {}", cudaGetErrorString(status));
  return count;
}

DeviceName current_device() {
  DeviceName name;
  check_cuda(cudaGetDevice(&name.index), "cudaGetDevice");
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, name.index), "cudaGetDeviceProperties");
  name.model = properties.name;
  std::array<char, 32> bus{};
  check_cuda(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), name.index),
             "cudaDeviceGetPCIBusId");
  name.bus = bus.data();
  return name;
}

void use_device(int device) {
  const int count = visible_devices();
  if (device < 0 || device >= count)
    fail_config("rank {} of this host has no GPU: {} are visible; start at most so many ranks on it", device,
                count);
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
}

std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> control,
                                                const NcclOptions& options) {
  return std::make_unique<NcclCommunicator>(std::move(control), options);
}

DeviceCommunicatorMaker nccl_communicators(const NcclOptions& given) {
  NcclOptions options = given;
  if (!options.queue) options.queue = std::make_shared<SharedQueue>();
  return [options](std::unique_ptr<Communicator> control) {
    return nccl_communicator(std::move(control), options);
  };
}

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "unknown";
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace trimtab
