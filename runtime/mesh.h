// SPDX-License-Identifier: Apache-2.0
//
// The ranks of a job as a data x pipe x tensor grid: arithmetic only, the same on every rank. The tensor axis
// is the fastest, so that the ranks that talk most are neighbours and share a node; the data axis is the
// slowest.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

enum class Axis { kData, kPipe, kTensor };

inline constexpr std::array<Axis, 3> kAxes = {Axis::kData, Axis::kPipe, Axis::kTensor};

// "data", "pipe", "tensor": the keys of the mesh section, too.
std::string_view name_of(Axis axis);

// Where a rank is: the number of its replica, of its stage, and of its tensor shard.
struct Coordinate {
  int data = 0;
  int pipe = 0;
  int tensor = 0;

  int along(Axis axis) const;
  bool operator==(const Coordinate&) const = default;
};

class Mesh {
 public:
  // One rank.
  Mesh() = default;
  // Throws ConfigError if a factor is less than 1 or the product does not fit an int.
  Mesh(int data, int pipe, int tensor);

  int size() const { return data_ * pipe_ * tensor_; }
  int size(Axis axis) const;

  // Throw Error outside the mesh.
  Coordinate coordinate(int rank) const;
  int rank(const Coordinate& coordinate) const;

  // The ranks that differ from `rank` at most along `axis`, ordered by their coordinate on it; `rank` is the
  // coordinate(rank).along(axis)-th of them.
  std::vector<int> group(int rank, Axis axis) const;

  // Throws ConfigError, with the factor to change, unless the job has exactly size() ranks.
  void check_world_size(int world_size) const;

  // "data 2 x pipe 2 x tensor 4"
  std::string text() const;

  bool operator==(const Mesh&) const = default;

 private:
  int data_ = 1;
  int pipe_ = 1;
  int tensor_ = 1;
};

}  // namespace trimtab
