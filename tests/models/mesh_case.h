// SPDX-License-Identifier: Apache-2.0
//
// Meshes and uneven cuts on which the suites run a golden case, with its rows dealt out unevenly as well.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "models/golden_case.h"
#include "parallel/greedy_rows.h"
#include "runtime/mesh.h"
#include "runtime/world.h"

namespace trimtab::test {

struct Layout {
  std::string name;
  Mesh mesh;
  // Layers of the stages, for a model with e encoder and d decoder layers; without an encoder e is half of
  // all.
  std::function<std::vector<int>(int e, int d)> sizes;
  std::string schedule = "1f1b";
  bool sequence_parallel = false;

  // In the names of tests.
  friend void PrintTo(const Layout& it, std::ostream* out) { *out << it.name; }
};

inline std::vector<int> whole(int e, int d) { return {e + d}; }
inline std::vector<int> between(int e, int d) { return {e, d}; }
inline std::vector<int> in_encoder(int e, int d) { return {1, e - 1 + d}; }
inline std::vector<int> in_decoder(int e, int d) { return {e + 1, d - 1}; }
inline std::vector<int> in_both(int e, int d) { return {1, e, d - 1}; }
inline std::vector<int> each_alone(int e, int d) { return {1, e - 1, 1, d - 1}; }

// Three tensor ranks share what does not divide: 4 and 6 heads, 40 inner columns, vocabularies of 120 and
// 122.
const std::vector<Layout>& layouts();
const Layout& layout_named(const std::string& name);
// Whether the model has a head for each tensor rank.
bool fits(const GoldenCase& golden, const Layout& layout);

// Rows 0 to 3 of the golden batch; replicas get uneven micro-batches of uneven numbers of tokens.
std::vector<MicroBatch> micro_batches(const GoldenCase& golden, int replicas, int replica);
// Of what belongs to rows of the golden batch, in their order: that of this replica's rows, all of them.
TokenRows replica_rows(const TokenRows& all, int replicas, int replica);

std::unique_ptr<ModelStage> stage_of(const GoldenCase& golden, const Layout& layout, World& world,
                                     at::Device device = at::kCPU);

// The part of a whole tensor that this tensor rank holds.
at::Tensor slab_of(const at::Tensor& whole_tensor, const Cut& cut, const Communicator& tensor);

}  // namespace trimtab::test
