// SPDX-License-Identifier: Apache-2.0
//
// The backward pass: blocks of a tile of keys for the gradients of keys and values, blocks of a tile of
// queries for those of queries and of the bias table. Scores are computed again in both, and nothing is
// summed by two blocks.
#pragma once

#include "models/ops/ragged_tiles.h"

namespace trimtab::ragged {

// delta of one token and head: sum over its weights of weight * gradient, dropout included.
template <class T>
TT_HOST_DEVICE inline void delta_of(const Setting& s, const Gradients<T>& g, std::int64_t token, int head) {
  const T* out = g.out.data + token * g.out.ld + std::int64_t{head} * s.width;
  const T* dout = g.dout.data + token * g.dout.ld + std::int64_t{head} * s.width;
  float sum = 0.0f;
  for (int c = 0; c < s.width; ++c) sum += to_float(out[c]) * to_float(dout[c]);
  g.delta[head * g.tokens + token] = sum;
}

template <int kWidth, int kTile>
struct BackwardShared {
  Tile<kWidth, kTile> q, k, v, dout;
  Square<kTile> weights, slopes;  // weights with dropout; gradients of scores
  PairTerms<kTile> terms;
  float log_sum[kTile], delta[kTile];  // of the queries
  float diagonals[2 * kTile - 1];      // gradients of scores by key - query + kTile - 1

  template <class T>
  TT_HOST_DEVICE void load_queries(const Input<T>& in, const Gradients<T>& g, const Span& queries, int first,
                                   int head, int thread) {
    const int count = smaller(kTile, queries.length - first);
    q.load(in.q, queries.begin + first, count, head, in.setting.width, thread);
    dout.load(g.dout, queries.begin + first, count, head, in.setting.width, thread);
    for (int i = thread; i < kTile; i += kThreads) {
      const std::int64_t at = head * g.tokens + queries.begin + first + i;
      log_sum[i] = i < count ? g.log_sum[at] : 0.0f;
      delta[i] = i < count ? g.delta[at] : 0.0f;
    }
  }
  template <class T>
  TT_HOST_DEVICE void load_keys(const Input<T>& in, const Span& keys, int first, int key_head, int thread) {
    const int count = smaller(kTile, keys.length - first);
    k.load(in.k, keys.begin + first, count, key_head, in.setting.width, thread);
    v.load(in.v, keys.begin + first, count, key_head, in.setting.width, thread);
  }
};

// Scores and gradients of weights again, and from them `weights` and `slopes`: zero where nothing is seen.
template <int kWidth, int kTile>
TT_HOST_DEVICE inline void slope_phase(const Setting& s, BackwardShared<kWidth, kTile>& shared,
                                       int first_query, int queries, int first_key, int keys, int thread) {
  constexpr int kPer = kTile / kSide;
  float products[kPer][kPer], slopes[kPer][kPer];
  multiply_rows(shared.q, shared.k, s.width, thread, products);
  multiply_rows(shared.dout, shared.v, s.width, thread, slopes);
  const Own<kTile> own(thread);
  for (int i = 0; i < kPer; ++i)
    for (int j = 0; j < kPer; ++j) {
      const int q = own.row(i), k = own.column(j);
      const bool seen = first_query + q < queries && first_key + k < keys &&
                        is_visible(s.causal, first_query + q, first_key + k);
      const float score = products[i][j] * s.scale + shared.terms.bias[k - q + kTile - 1];
      const float weight = seen ? expf(score - shared.log_sum[q]) : 0.0f;
      const float factor = shared.terms.factor[k];
      shared.weights.at(q, k) = weight * factor;
      shared.slopes.at(q, k) = score_gradient(weight, factor, slopes[i][j], shared.delta[q]);
    }
}

template <int kWidth, int kTile>
struct KeyState {
  float dk[kTile / kSide][kWidth / kSide], dv[kTile / kSide][kWidth / kSide];
};

// The block of tile `tile` of keys of a head of keys of a row: the heads of queries that share it, in order.
template <int kWidth, int kTile, class T, class Team>
TT_HOST_DEVICE void key_gradient_block(const Input<T>& in, const Gradients<T>& g, int row, int key_head,
                                       int tile, BackwardShared<kWidth, kTile>& shared, Team& team) {
  using State = KeyState<kWidth, kTile>;
  const Setting& s = in.setting;
  const Span queries = span_of(s.query_offsets, row), keys = span_of(s.key_offsets, row);
  const int key = tile * kTile, group = s.heads / s.key_heads;
  if (key >= keys.length) return;
  const int count = smaller(kTile, keys.length - key);
  team.each([&](int thread, State& mine) {
    shared.load_keys(in, keys, key, key_head, thread);
    clear(mine.dk);
    clear(mine.dv);
  });
  for (int head = key_head * group; head < (key_head + 1) * group; ++head)
    for (int first = s.causal ? key : 0; first < queries.length; first += kTile) {
      team.each([&](int thread, State&) {
        shared.load_queries(in, g, queries, first, head, thread);
        shared.terms.load(s, row, head, first, key, keys.length, thread);
      });
      team.each([&](int thread, State&) {
        slope_phase(s, shared, first, queries.length, key, keys.length, thread);
      });
      team.each([&](int thread, State& mine) {
        accumulate<true>(shared.weights, shared.dout, thread, mine.dv);
        accumulate<true>(shared.slopes, shared.q, thread, mine.dk);
      });
    }
  team.each([&](int thread, State& mine) {
    write_rows<kWidth, kTile>(mine.dk, s.scale, g.dk, keys.begin + key, count, key_head, s.width, thread);
    write_rows<kWidth, kTile>(mine.dv, 1.0f, g.dv, keys.begin + key, count, key_head, s.width, thread);
  });
}

template <int kWidth, int kTile>
struct QueryState {
  float dq[kTile / kSide][kWidth / kSide];
  float dbucket;  // of the thread's bucket
};

template <int kWidth, int kTile>
TT_HOST_DEVICE inline void diagonal_phase(BackwardShared<kWidth, kTile>& shared, int thread) {
  for (int i = thread; i < 2 * kTile - 1; i += kThreads) {
    const int distance = i - (kTile - 1);
    float sum = 0.0f;
    for (int q = distance < 0 ? -distance : 0; q < kTile && q + distance < kTile; ++q)
      sum += shared.slopes.at(q, q + distance);
    shared.diagonals[i] = sum;
  }
}

template <int kWidth, int kTile>
TT_HOST_DEVICE inline float bucket_sum(const Setting& s, const BackwardShared<kWidth, kTile>& shared,
                                       int nearest, int bucket) {
  float sum = 0.0f;
  for (int i = 0; i < 2 * kTile - 1; ++i)
    if (bucket_of(s, nearest + i) == bucket) sum += shared.diagonals[i];
  return sum;
}

// The block of tile `tile` of queries of a head of a row, and its part of the bias table's gradient if
// wanted.
template <int kWidth, int kTile, class T, class Team>
TT_HOST_DEVICE void query_gradient_block(const Input<T>& in, const Gradients<T>& g, int row, int head,
                                         int tile, BackwardShared<kWidth, kTile>& shared, Team& team) {
  using State = QueryState<kWidth, kTile>;
  const Setting& s = in.setting;
  const Span queries = span_of(s.query_offsets, row), keys = span_of(s.key_offsets, row);
  const int first = tile * kTile, key_head = head / (s.heads / s.key_heads);
  if (first >= queries.length) return;
  const int count = smaller(kTile, queries.length - first);
  team.each([&](int thread, State& mine) {
    shared.load_queries(in, g, queries, first, head, thread);
    clear(mine.dq);
    mine.dbucket = 0.0f;
  });
  const int end = s.causal ? smaller(keys.length, first + count) : keys.length;
  for (int key = 0; key < end; key += kTile) {
    team.each([&](int thread, State&) {
      shared.load_keys(in, keys, key, key_head, thread);
      shared.terms.load(s, row, head, first, key, keys.length, thread);
    });
    team.each(
        [&](int thread, State&) { slope_phase(s, shared, first, queries.length, key, keys.length, thread); });
    team.each([&](int thread, State& mine) {
      accumulate<false>(shared.slopes, shared.k, thread, mine.dq);
      if (g.dtable != nullptr) diagonal_phase(shared, thread);
    });
    if (g.dtable == nullptr) continue;
    team.each([&](int thread, State& mine) {
      if (thread < g.bucket_count) mine.dbucket += bucket_sum(s, shared, key - first - (kTile - 1), thread);
    });
  }
  team.each([&](int thread, State& mine) {
    write_rows<kWidth, kTile>(mine.dq, s.scale, g.dq, queries.begin + first, count, head, s.width, thread);
    if (g.dtable == nullptr || thread >= g.bucket_count) return;
    const std::int64_t block = (std::int64_t{row} * g.most_tiles + tile) * s.heads + head;
    g.dtable[block * g.bucket_count + thread] = mine.dbucket;
  });
}

}  // namespace trimtab::ragged
