// SPDX-License-Identifier: Apache-2.0
//
// The forward pass of a block: a tile of queries of one head of one row, over its keys tile by tile.
#pragma once

#include "models/ops/ragged_tiles.h"

namespace trimtab::ragged {

// Threads that share a row of scores in the softmax.
template <int kTile>
constexpr int kParts = kThreads / kTile;

template <int kWidth, int kTile>
struct ForwardShared {
  Tile<kWidth, kTile> q, kv;  // keys, then values
  Square<kTile> scores;
  PairTerms<kTile> terms;
  float largest[kTile], next[kTile], sum[kTile], shrink[kTile];
  float maxima[kTile][kParts<kTile>], sums[kTile][kParts<kTile>];
};

template <int kWidth, int kTile>
struct ForwardState {
  float out[kTile / kSide][kWidth / kSide];
};

// Scores of a tile in place; minus infinity where a query does not see a key.
template <int kWidth, int kTile>
TT_HOST_DEVICE inline void score_phase(const Setting& s, ForwardShared<kWidth, kTile>& shared,
                                       int first_query, int first_key, int keys, int thread) {
  float sums[kTile / kSide][kTile / kSide];
  multiply_rows(shared.q, shared.kv, s.width, thread, sums);
  const Own<kTile> own(thread);
  for (int i = 0; i < kTile / kSide; ++i)
    for (int j = 0; j < kTile / kSide; ++j) {
      const int q = own.row(i), k = own.column(j);
      const bool seen = first_key + k < keys && is_visible(s.causal, first_query + q, first_key + k);
      shared.scores.at(q, k) =
          seen ? sums[i][j] * s.scale + shared.terms.bias[k - q + kTile - 1] : minus_infinity();
    }
}

template <int kWidth, int kTile>
TT_HOST_DEVICE inline void maximum_phase(ForwardShared<kWidth, kTile>& shared, int thread) {
  const int row = thread / kParts<kTile>, part = thread % kParts<kTile>;
  float most = minus_infinity();
  for (int k = part; k < kTile; k += kParts<kTile>) most = larger(most, shared.scores.at(row, k));
  shared.maxima[row][part] = most;
}

// Scores become weights, times the dropout of their keys; their sum is that before the dropout.
template <int kWidth, int kTile>
TT_HOST_DEVICE inline void weight_phase(ForwardShared<kWidth, kTile>& shared, int thread) {
  const int row = thread / kParts<kTile>, part = thread % kParts<kTile>;
  float most = shared.largest[row];
  for (int i = 0; i < kParts<kTile>; ++i) most = larger(most, shared.maxima[row][i]);
  float sum = 0.0f;
  for (int k = part; k < kTile; k += kParts<kTile>) {
    const float weight = weight_of(shared.scores.at(row, k), most);
    sum += weight;
    shared.scores.at(row, k) = weight * shared.terms.factor[k];
  }
  shared.sums[row][part] = sum;
  if (part != 0) return;
  shared.next[row] = most;
  shared.shrink[row] = shrink_of(shared.largest[row], most);
}

template <int kWidth, int kTile>
TT_HOST_DEVICE inline void value_phase(ForwardShared<kWidth, kTile>& shared,
                                       ForwardState<kWidth, kTile>& mine, int thread) {
  const int row = thread / kParts<kTile>;
  if (thread % kParts<kTile> == 0) {
    float sum = shared.sum[row] * shared.shrink[row];
    for (int i = 0; i < kParts<kTile>; ++i) sum += shared.sums[row][i];
    shared.sum[row] = sum;
    shared.largest[row] = shared.next[row];
  }
  const Own<kTile> own(thread);
  for (int i = 0; i < kTile / kSide; ++i)
    for (int c = 0; c < kWidth / kSide; ++c) mine.out[i][c] *= shared.shrink[own.row(i)];
  accumulate<false>(shared.scores, shared.kv, thread, mine.out);
}

// The block of tile `tile` of queries of a head of a row.
template <int kWidth, int kTile, class T, class Team>
TT_HOST_DEVICE void forward_block(const Input<T>& in, const Output<T>& to, int row, int head, int tile,
                                  ForwardShared<kWidth, kTile>& shared, Team& team) {
  using State = ForwardState<kWidth, kTile>;
  const Setting& s = in.setting;
  const Span queries = span_of(s.query_offsets, row), keys = span_of(s.key_offsets, row);
  const int first = tile * kTile, key_head = head / (s.heads / s.key_heads);
  if (first >= queries.length) return;
  const int count = smaller(kTile, queries.length - first);
  team.each([&](int thread, State& mine) {
    shared.q.load(in.q, queries.begin + first, count, head, s.width, thread);
    for (int i = thread; i < kTile; i += kThreads) {
      shared.largest[i] = minus_infinity();
      shared.sum[i] = 0.0f;
    }
    clear(mine.out);
  });
  const int end = s.causal ? smaller(keys.length, first + count) : keys.length;
  for (int key = 0; key < end; key += kTile) {
    const int here = smaller(kTile, keys.length - key);
    team.each([&](int thread, State&) {
      shared.kv.load(in.k, keys.begin + key, here, key_head, s.width, thread);
      shared.terms.load(s, row, head, first, key, keys.length, thread);
    });
    team.each([&](int thread, State&) { score_phase(s, shared, first, key, keys.length, thread); });
    team.each([&](int thread, State&) {
      maximum_phase(shared, thread);
      shared.kv.load(in.v, keys.begin + key, here, key_head, s.width, thread);
    });
    team.each([&](int thread, State&) { weight_phase(shared, thread); });
    team.each([&](int thread, State& mine) { value_phase(shared, mine, thread); });
  }
  team.each([&](int thread, State& mine) {
    const Own<kTile> own(thread);
    for (int i = 0; i < kTile / kSide; ++i)
      for (int c = 0; c < kWidth / kSide; ++c) mine.out[i][c] /= shared.sum[own.row(i)];
    write_rows<kWidth, kTile>(mine.out, 1.0f, to.out, queries.begin + first, count, head, s.width, thread);
    for (int i = thread; i < count; i += kThreads)
      to.log_sum[head * to.tokens + queries.begin + first + i] = shared.largest[i] + logf(shared.sum[i]);
  });
}

}  // namespace trimtab::ragged
