// SPDX-License-Identifier: Apache-2.0
//
// Tiles in a block's shared memory, what each of its threads does with them, and how a host runs the threads.
#pragma once

#include <vector>

#include "models/ops/ragged_parts.h"

namespace trimtab::ragged {

// One row's side of a block: where it begins among the tokens, and its length.
struct Span {
  std::int64_t begin;
  int length;
};
TT_HOST_DEVICE inline Span span_of(const std::int64_t* offsets, int row) {
  return {offsets[row], static_cast<int>(offsets[row + 1] - offsets[row])};
}

// A tile of tokens of one head in shared memory. Rows are a word longer than their columns, so that a
// column's neighbours lie in different banks.
template <int kWidth, int kTile>
struct Tile {
  static constexpr int kLd = kWidth + 1;
  float values[kTile * kLd];

  TT_HOST_DEVICE float at(int token, int column) const { return values[token * kLd + column]; }

  // Zero beyond `count` tokens and `width` columns.
  template <class T>
  TT_HOST_DEVICE void load(const Columns<T>& x, std::int64_t token, int count, int head, int width,
                           int thread) {
    for (int i = thread; i < kTile * kWidth; i += kThreads) {
      const int row = i / kWidth, column = i % kWidth;
      const bool there = row < count && column < width;
      values[row * kLd + column] =
          there ? to_float(x.data[(token + row) * x.ld + std::int64_t{head} * width + column]) : 0.0f;
    }
  }
};

template <int kTile>
struct Square {
  static constexpr int kLd = kTile + 1;
  float values[kTile * kLd];
  TT_HOST_DEVICE float& at(int query, int key) { return values[query * kLd + key]; }
};

// What a tile of queries and one of keys add to their products.
template <int kTile>
struct PairTerms {
  float bias[2 * kTile - 1];  // of key - query + kTile - 1
  float factor[kTile];        // of the keys

  TT_HOST_DEVICE void load(const Setting& s, int row, int head, int first_query, int first_key, int keys,
                           int thread) {
    for (int i = thread; i < 2 * kTile - 1; i += kThreads)
      bias[i] = bias_of(s, first_key - first_query + i - (kTile - 1), head);
    for (int i = thread; i < kTile; i += kThreads)
      factor[i] = first_key + i < keys ? key_factor(s, row, first_key + i, head) : 0.0f;
  }
};

// A thread's corner of the square: tile rows own_row(i), columns own_column(j).
template <int kTile>
struct Own {
  static constexpr int kPer = kTile / kSide;
  int y, x;
  TT_HOST_DEVICE explicit Own(int thread) : y(thread / kSide * kPer), x(thread % kSide) {}
  TT_HOST_DEVICE int row(int i) const { return y + i; }
  TT_HOST_DEVICE int column(int j) const { return x + j * kSide; }
};

// sums[i][j] = row own.row(i) of a times row own.column(j) of b.
template <int kWidth, int kTile>
TT_HOST_DEVICE inline void multiply_rows(const Tile<kWidth, kTile>& a, const Tile<kWidth, kTile>& b,
                                         int width, int thread, float (&sums)[kTile / kSide][kTile / kSide]) {
  constexpr int kPer = kTile / kSide;
  const Own<kTile> own(thread);
  for (int i = 0; i < kPer; ++i)
    for (int j = 0; j < kPer; ++j) sums[i][j] = 0.0f;
  for (int c = 0; c < width; ++c) {
    float left[kPer], right[kPer];
    for (int i = 0; i < kPer; ++i) left[i] = a.at(own.row(i), c);
    for (int j = 0; j < kPer; ++j) right[j] = b.at(own.column(j), c);
    for (int i = 0; i < kPer; ++i)
      for (int j = 0; j < kPer; ++j) sums[i][j] += left[i] * right[j];
  }
}

// sums[i][c] += row own.row(i) of `square` (or of its transpose) times column own.column(c) of x.
template <bool kTranspose, int kWidth, int kTile>
TT_HOST_DEVICE inline void accumulate(Square<kTile>& square, const Tile<kWidth, kTile>& x, int thread,
                                      float (&sums)[kTile / kSide][kWidth / kSide]) {
  constexpr int kPer = kTile / kSide, kColumns = kWidth / kSide;
  const Own<kTile> own(thread);
  for (int t = 0; t < kTile; ++t) {
    float left[kPer];
    for (int i = 0; i < kPer; ++i) left[i] = kTranspose ? square.at(t, own.row(i)) : square.at(own.row(i), t);
    for (int c = 0; c < kColumns; ++c) {
      const float right = x.at(t, own.column(c));
      for (int i = 0; i < kPer; ++i) sums[i][c] += left[i] * right;
    }
  }
}

// Writes a thread's rows, times `factor`.
template <int kWidth, int kTile, class T>
TT_HOST_DEVICE inline void write_rows(const float (&sums)[kTile / kSide][kWidth / kSide], float factor,
                                      const Columns<T>& to, std::int64_t token, int count, int head,
                                      int width, int thread) {
  const Own<kTile> own(thread);
  for (int i = 0; i < kTile / kSide; ++i)
    for (int c = 0; c < kWidth / kSide; ++c)
      if (own.row(i) < count && own.column(c) < width)
        put(&to.data[(token + own.row(i)) * to.ld + std::int64_t{head} * width + own.column(c)],
            sums[i][c] * factor);
}

template <int kRows, int kColumns>
TT_HOST_DEVICE inline void clear(float (&sums)[kRows][kColumns]) {
  for (int i = 0; i < kRows; ++i)
    for (int c = 0; c < kColumns; ++c) sums[i][c] = 0.0f;
}

// Threads of a block one after the other, each phase for all of them: what a barrier promises.
template <class State>
class HostTeam {
 public:
  template <class Phase>
  void each(const Phase& phase) {
    for (int thread = 0; thread < kThreads; ++thread)
      phase(thread, states_[static_cast<std::size_t>(thread)]);
  }

 private:
  std::vector<State> states_ = std::vector<State>(kThreads);
};

}  // namespace trimtab::ragged
