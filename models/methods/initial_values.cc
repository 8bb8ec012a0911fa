// SPDX-License-Identifier: Apache-2.0
#include "models/methods/initial_values.h"

#include <ATen/ATen.h>

#include <cmath>

#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

// A stream of the purpose kInit of its own (prompt_init.cc has the ones before).
constexpr std::uint64_t kNamedStep = (std::uint64_t{1} << 40) + 2;

template <class Draw>
at::Tensor drawn(const Shape& shape, const Cut& cut, const Communicator& tensor, const Draw& draw) {
  TT_CHECK(shape.size() == 2, "{} dims", shape.size());
  Shape first = {0, 0}, count = shape;
  if (cut != kWhole) {
    const auto dim = static_cast<std::size_t>(cut.dim);
    const Share own = share_of(cut, tensor);
    first[dim] = own.begin;
    count[dim] = own.count;
  }
  at::Tensor values = at::empty(count, at::kFloat);
  float* to = values.mutable_data_ptr<float>();
  for (std::int64_t row = first[0]; row < first[0] + count[0]; ++row)
    for (std::int64_t i = first[1]; i < first[1] + count[1]; ++i)
      *to++ = static_cast<float>(draw(static_cast<std::uint64_t>(row * shape[1] + i)));
  return values;
}

}  // namespace

std::uint64_t number_of(std::string_view name) {
  std::uint64_t number = 0xcbf29ce484222325U;
  for (const char letter : name) {
    number ^= static_cast<unsigned char>(letter);
    number *= 0x100000001b3U;
  }
  return number;
}

at::Tensor InitialValues::normal(const std::string& name, const Shape& shape, double std,
                                 const Cut& cut) const {
  const RandomStream stream(seed_, Purpose::kInit, kNamedStep, number_of(name));
  return drawn(shape, cut, tensor_, [&](std::uint64_t at) { return std * stream.normal(at); }).to(device_);
}

at::Tensor InitialValues::linear(const std::string& name, const Shape& shape, const Cut& cut) const {
  const RandomStream stream(seed_, Purpose::kInit, kNamedStep, number_of(name));
  const double bound = 1.0 / std::sqrt(static_cast<double>(shape[1]));
  return drawn(shape, cut, tensor_,
               [&](std::uint64_t at) { return bound * (2.0 * stream.uniform_double(at) - 1.0); })
      .to(device_);
}

at::Tensor InitialValues::zeros(const Shape& shape) const {
  return at::zeros(shape, at::TensorOptions(at::kFloat).device(device_));
}

}  // namespace trimtab
