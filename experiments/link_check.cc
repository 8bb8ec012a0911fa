// SPDX-License-Identifier: Apache-2.0
#include "experiments/link_check.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// One element, a vector that travels inside a header, and one that is cut into shares and segments.
constexpr std::int64_t kCounts[] = {1, 1'000, 100'003};

// What member `member` contributes: small whole numbers, of which the sums of so many ranks are exact in
// bfloat16, too, in whatever order.
constexpr int kMostExact = 60;
at::Tensor numbers(int member, std::int64_t count, at::ScalarType type) {
  return at::arange(count, at::kLong).add(member).remainder(5).to(type);
}

class ValueCheck {
 public:
  ValueCheck(Communicator& link, at::Device device) : link_(link), device_(device) {}

  std::string run() {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (const std::int64_t count : kCounts) {
        sums(count, type);
        broadcasts(count, type);
        gathers(count, type);
        exchanges(count, type);
      }
    return found_;
  }

 private:
  at::Tensor here(const at::Tensor& tensor) const { return tensor.to(device_).contiguous(); }
  int member(int step) const { return (link_.rank() + step + link_.size()) % link_.size(); }

  void sums(std::int64_t count, at::ScalarType type) {
    if (type == at::kBFloat16 && link_.size() > kMostExact) return;
    at::Tensor expected = at::zeros({count}, at::kFloat);
    for (int m = 0; m < link_.size(); ++m) expected += numbers(m, count, at::kFloat);
    at::Tensor values = here(numbers(link_.rank(), count, type));
    link_.all_reduce(buffer_of(values), ReduceOp::kSum, Traffic::kControl);
    compare("all_reduce sum", values, expected.to(type));
  }

  void broadcasts(std::int64_t count, at::ScalarType type) {
    for (int root = 0; root < link_.size(); ++root) {
      at::Tensor values = here(numbers(link_.rank(), count, type));
      link_.broadcast(buffer_of(values), root, Traffic::kControl);
      compare(fmt::format("broadcast from rank {}", world_rank(root)), values, numbers(root, count, type));
    }
  }

  void gathers(std::int64_t count, at::ScalarType type) {
    std::vector<at::Tensor> parts;
    for (int m = 0; m < link_.size(); ++m) parts.push_back(numbers(m, count, type));
    const at::Tensor mine = here(numbers(link_.rank(), count, type));
    const at::Tensor all = at::empty({count * link_.size()}, mine.options());
    link_.all_gather(buffer_of(mine), buffer_of(all), Traffic::kControl);
    compare("all_gather", all, at::cat(parts));
  }

  // To every distance, so that each pair of ranks has spoken once.
  void exchanges(std::int64_t count, at::ScalarType type) {
    for (int distance = 1; distance < link_.size(); ++distance) {
      const at::Tensor mine = here(numbers(link_.rank(), count, type));
      const at::Tensor got = at::zeros({count}, mine.options());
      const Send send{member(distance), buffer_of(mine)};
      const Receive receive{member(-distance), buffer_of(got)};
      link_.exchange({&send, 1}, {&receive, 1}, Traffic::kControl);
      compare(fmt::format("message from rank {}", world_rank(member(-distance))), got,
              numbers(member(-distance), count, type));
    }
  }

  // Keeps the first difference only; the calls go on, since the other ranks make them.
  void compare(const std::string& call, const at::Tensor& found, const at::Tensor& expected) {
    if (!found_.empty()) return;
    const at::Tensor values = found.cpu().to(at::kFloat), wanted = expected.to(at::kFloat);
    const float *v = values.const_data_ptr<float>(), *w = wanted.const_data_ptr<float>();
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      if (v[i] == w[i]) continue;
      found_ = fmt::format("{} of {} {} on '{}' of ranks {}: element {} is {} and should be {}", call,
                           values.numel(), name_of(dtype_of(found)), link_.name(),
                           fmt::join(link_.members(), ", "), i, v[i], w[i]);
      return;
    }
  }

  int world_rank(int of_member) const { return link_.members()[static_cast<std::size_t>(of_member)]; }

  Communicator& link_;
  at::Device device_;
  std::string found_;
};

struct Sample {
  std::int64_t bytes;
  int batches, calls;  // the median is that of the batches' means
};
constexpr Sample kSamples[] = {{8, 7, 20}, {64 << 10, 7, 4}, {1 << 20, 5, 1}, {8 << 20, 3, 1}};

double median_seconds(Communicator& link, const Sample& sample, bool queued,
                      const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  call();  // connections are made, memory is touched
  for (int batch = 0; batch < sample.batches; ++batch) {
    link.barrier();
    const auto begin = Clock::now();
    for (int i = 0; i < sample.calls; ++i) call();
    if (queued) link.barrier();  // a device's calls return before they are done
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count() / sample.calls);
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

std::string wrong_values(Communicator& link, at::Device device) { return ValueCheck(link, device).run(); }

std::vector<LinkSpeed> measured_speeds(Communicator& link, at::Device device) {
  std::vector<LinkSpeed> out;
  if (link.size() == 1) return out;
  const bool queued = device.type() != at::kCPU;
  const int next = (link.rank() + 1) % link.size(), before = (link.rank() + link.size() - 1) % link.size();
  for (const Sample& sample : kSamples) {
    const std::int64_t count = sample.bytes / static_cast<std::int64_t>(sizeof(float));
    const at::Tensor mine = at::zeros({count}, at::TensorOptions().dtype(at::kFloat).device(device));
    const at::Tensor other = at::zeros_like(mine);
    const Send send{next, buffer_of(mine)};
    const Receive receive{before, buffer_of(other)};
    LinkSpeed speed{sample.bytes};
    speed.exchange = median_seconds(link, sample, queued, [&] {
      link.exchange({&send, 1}, {&receive, 1}, Traffic::kControl);
    });
    speed.all_reduce = median_seconds(
        link, sample, queued, [&] { link.all_reduce(buffer_of(mine), ReduceOp::kSum, Traffic::kControl); });
    out.push_back(speed);
  }
  return out;
}

}  // namespace trimtab
