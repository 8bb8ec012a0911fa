// SPDX-License-Identifier: Apache-2.0
#include "runtime/mesh.h"

#include <fmt/ranges.h>

#include <cstdint>
#include <limits>

#include "runtime/check.h"

namespace trimtab {

std::string_view name_of(Axis axis) {
  switch (axis) {
    case Axis::kData:
      return "data";
    case Axis::kPipe:
      return "pipe";
    case Axis::kTensor:
      return "tensor";
  }
  fail("no axis has number {}", static_cast<int>(axis));
}

int Coordinate::along(Axis axis) const {
  return axis == Axis::kData ? data : axis == Axis::kPipe ? pipe : tensor;
}

Mesh::Mesh(int data, int pipe, int tensor) : data_(data), pipe_(pipe), tensor_(tensor) {
  std::int64_t product = 1;
  for (const Axis axis : kAxes) {
    if (size(axis) < 1)
      fail_config("mesh.{} is {}: every factor of the mesh is at least 1", name_of(axis), size(axis));
    product *= size(axis);
    if (product > std::numeric_limits<int>::max())
      fail_config("the mesh {} has more ranks than any job: lower its factors", text());
  }
}

int Mesh::size(Axis axis) const {
  return axis == Axis::kData ? data_ : axis == Axis::kPipe ? pipe_ : tensor_;
}

Coordinate Mesh::coordinate(int rank) const {
  if (rank < 0 || rank >= size())
    fail("rank {} is not one of the {} ranks of the mesh {}", rank, size(), text());
  return {.data = rank / (tensor_ * pipe_), .pipe = rank / tensor_ % pipe_, .tensor = rank % tensor_};
}

int Mesh::rank(const Coordinate& coordinate) const {
  for (const Axis axis : kAxes)
    if (coordinate.along(axis) < 0 || coordinate.along(axis) >= size(axis))
      fail("coordinate {} of axis {} lies outside the mesh {}", coordinate.along(axis), name_of(axis),
           text());
  return (coordinate.data * pipe_ + coordinate.pipe) * tensor_ + coordinate.tensor;
}

std::vector<int> Mesh::group(int rank, Axis axis) const {
  Coordinate at = coordinate(rank);
  int& moving = axis == Axis::kData ? at.data : axis == Axis::kPipe ? at.pipe : at.tensor;
  std::vector<int> ranks;
  for (moving = 0; moving < size(axis); ++moving) ranks.push_back(this->rank(at));
  return ranks;
}

void Mesh::check_world_size(int world_size) const {
  if (world_size == size()) return;
  std::vector<std::string> remedies;
  for (const Axis axis : kAxes) {
    const int others = size() / size(axis);
    if (world_size >= others && world_size % others == 0)
      remedies.push_back(fmt::format("set mesh.{} to {}", name_of(axis), world_size / others));
  }
  remedies.push_back(fmt::format("start {} ranks", size()));
  fail_config("the mesh {} needs {} ranks, but this job has {}: {}", text(), size(), world_size,
              fmt::join(remedies, ", or "));
}

std::string Mesh::text() const { return fmt::format("data {} x pipe {} x tensor {}", data_, pipe_, tensor_); }

}  // namespace trimtab
