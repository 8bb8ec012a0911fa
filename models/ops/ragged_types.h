// SPDX-License-Identifier: Apache-2.0
//
// What goes into attention over ragged token-major rows and comes out of it, and who launches it where the
// memory is. Plain C++ for host and devices, without LibTorch.
#pragma once

#include <cstdint>

namespace trimtab::ragged {

// A block's threads form a square; each has kTile / kSide rows and columns of a tile of scores.
constexpr int kSide = 16;
constexpr int kThreads = kSide * kSide;

struct Bfloat16 {
  std::uint16_t bits;
};

// A row's stream: words 0 and 1 are its key, 2 and 3 the upper half of its counter.
struct Stream {
  std::uint32_t words[4];
};

// Dropout on attention weights, shared by all queries of a row: what dropout_key_mask (models/ops/dropout.h)
// holds, either read or drawn where it is used.
struct KeyDropout {
  const float* mask = nullptr;      // [key tokens, heads]; if null:
  const Stream* streams = nullptr;  // [rows]; null: no dropout
  std::uint64_t site = 0;
  std::uint64_t dropped = 0;  // words below it drop their key
  float kept = 1.0f;
  int all_heads = 0;  // of all ranks, and the first one of this rank
  int first_head = 0;
};

struct Setting {
  const std::int64_t* query_offsets = nullptr;  // [rows + 1]
  const std::int64_t* key_offsets = nullptr;    // [rows + 1]
  int rows = 0;
  int heads = 0;      // of queries
  int key_heads = 0;  // each serves heads / key_heads of them
  int width = 0;      // columns of a head
  float scale = 1.0f;
  bool causal = false;           // query i sees keys [0, i]
  const float* table = nullptr;  // bias [buckets, heads]; null: none
  const int* buckets = nullptr;  // of the distances -reach .. reach, which further ones share
  int reach = 0;
  KeyDropout dropout;
};

// Token-major: token t, head h, column c is data[t * ld + h * width + c].
template <class T>
struct Columns {
  T* data = nullptr;
  std::int64_t ld = 0;
};

template <class T>
struct Input {
  Columns<const T> q, k, v;
  Setting setting;
};

// Of all blocks: out and log_sum [heads, query tokens], the latter for the backward pass.
template <class T>
struct Output {
  Columns<T> out;
  float* log_sum = nullptr;
  std::int64_t tokens = 0;  // of queries
};

template <class T>
struct Gradients {
  Columns<const T> out, dout;
  const float* log_sum = nullptr;  // [heads, query tokens]
  float* delta = nullptr;          // [heads, query tokens]: sum of out * dout, made by a pass of its own
  std::int64_t tokens = 0;
  Columns<T> dq, dk, dv;
  // [rows, tiles of the longest row, heads, bucket_count], to be summed over the first two; null: frozen
  float* dtable = nullptr;
  int bucket_count = 0;
  int most_tiles = 0;
};

// Columns that a tile has room for, and tokens of a tile in each direction, so that a block's shared memory
// stays below 150 KB.
template <int kColumns>
struct Sizes {
  static constexpr int kWidth = kColumns;
  static constexpr int kForward = 64;
  static constexpr int kBackward = kColumns <= 64 ? 64 : 32;
};
constexpr int kWidest = 256;

// body(Sizes<...>{}) with the smallest tiles for heads of this width, which is at most kWidest.
template <class Body>
void with_sizes(int width, const Body& body) {
  if (width <= 64) return body(Sizes<64>{});
  if (width <= 128) return body(Sizes<128>{});
  return body(Sizes<256>{});
}

inline int tiles_of(std::int64_t longest, int tile) { return static_cast<int>((longest + tile - 1) / tile); }

// What a launch must know of the rows, without reading offsets that lie on a device.
struct Extent {
  std::int64_t longest_queries = 0, longest_keys = 0, query_tokens = 0;
};

// Runs all blocks where the memory is: queued on a device, done at return on the host.
class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual void forward(const Input<float>& in, const Output<float>& to, const Extent& extent) const = 0;
  virtual void forward(const Input<Bfloat16>& in, const Output<Bfloat16>& to, const Extent& extent) const = 0;
  // `to.delta` is scratch of [heads, query tokens].
  virtual void backward(const Input<float>& in, const Gradients<float>& to, const Extent& extent) const = 0;
  virtual void backward(const Input<Bfloat16>& in, const Gradients<Bfloat16>& to,
                        const Extent& extent) const = 0;
};

}  // namespace trimtab::ragged
