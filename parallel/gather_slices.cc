// SPDX-License-Identifier: Apache-2.0
#include "parallel/gather_slices.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <sstream>

#include "parallel/tensor.h"
#include "runtime/agreement.h"

namespace trimtab {
namespace {

// What the first rank has to know of a tensor before it arrives.
struct Header {
  std::string name;
  std::vector<std::int64_t> shape;
  at::ScalarType type;
};

std::string headers_of(const std::vector<NamedSlice>& slices) {
  std::string text;
  for (const NamedSlice& slice : slices) {
    const Shape shape = whole_shape(slice.value.sizes().vec(), slice.cut);
    text += fmt::format("{}\n{} {} {}\n", slice.name, static_cast<int>(slice.value.scalar_type()),
                        shape.size(), fmt::join(shape, " "));
  }
  return text;
}

std::vector<Header> parse_headers(const std::string& text) {
  std::vector<Header> headers;
  std::istringstream lines(text);
  for (std::string name, line; std::getline(lines, name) && std::getline(lines, line);) {
    std::istringstream numbers(line);
    int type = 0;
    std::size_t dims = 0;
    numbers >> type >> dims;
    std::vector<std::int64_t> shape(dims);
    for (std::int64_t& size : shape) numbers >> size;
    headers.push_back({name, std::move(shape), static_cast<at::ScalarType>(type)});
  }
  return headers;
}

// On the host, where the optimizer's state is anyway: both ends of a message must be the same kind of memory.
at::Tensor whole_of(const NamedSlice& slice, Communicator& tensor) {
  const at::Tensor own = slice.value.detach().cpu().contiguous();
  if (slice.cut == kWhole || tensor.size() == 1) return own;
  const Shape whole = whole_shape(own.sizes().vec(), slice.cut);
  std::vector<Shape> shapes(static_cast<std::size_t>(tensor.size()), whole);
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < tensor.size(); ++rank) {
    Shape& shape = shapes[static_cast<std::size_t>(rank)];
    shape[static_cast<std::size_t>(slice.cut.dim)] =
        share_of_units(slice.cut.size, slice.cut.unit, rank, tensor.size()).count;
    counts.push_back(element_count(shape));
  }
  const at::Tensor all = at::empty({element_count(whole)}, own.options());
  tensor.all_gather(buffer_of(own), buffer_of(all), Parts(counts), Traffic::kControl);
  std::vector<at::Tensor> parts = all.split_with_sizes(counts);
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = parts[i].view(shapes[i]);
  return at::cat(parts, slice.cut.dim);
}

}  // namespace

void gather_slices(World& world, const std::vector<NamedSlice>& slices, const SliceSink& sink) {
  Communicator& pipe = world.along(Axis::kPipe);
  Communicator& tensor = world.along(Axis::kTensor);
  const bool speaks = tensor.rank() == 0;
  for (int stage = 0; stage < pipe.size(); ++stage) {
    const bool own = stage == pipe.rank();
    const auto headers = parse_headers(text_of_rank(pipe, own ? headers_of(slices) : "", stage));
    for (std::size_t i = 0; i < headers.size(); ++i) {
      at::Tensor whole;
      if (own) whole = whole_of(slices[i], tensor);
      if (!speaks) continue;
      if (stage != 0 && own) pipe.exchange(std::vector<Send>{{0, buffer_of(whole)}}, {}, Traffic::kControl);
      if (stage != 0 && pipe.rank() == 0) {
        whole = at::empty(headers[i].shape, headers[i].type);
        pipe.exchange({}, std::vector<Receive>{{stage, buffer_of(whole)}}, Traffic::kControl);
      }
      if (pipe.rank() == 0) sink(headers[i].name, whole);
    }
  }
}

}  // namespace trimtab
