// SPDX-License-Identifier: Apache-2.0
//
// Attention over ragged token-major rows as blocks of threads compute it: a block has one tile of queries
// (or, for the gradients of keys and values, of keys) of one head of one row, and passes over the other side
// tile by tile with an online softmax (Milakov, Gimelshein 2018; Dao et al. 2022). All arithmetic is here,
// for the host and for devices: a block is a sequence of phases, run by each of its threads, with a barrier
// after each one. A Team runs them: a GPU's by its threads (attention_cuda.cu), the host's (HostTeam) one
// thread after the other, so that the same source is tested where there is no GPU. Plain C++, without
// LibTorch.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__CUDACC__)
#define TT_HOST_DEVICE __host__ __device__
#else
#define TT_HOST_DEVICE
#endif

namespace trimtab::ragged {

// A block's threads form a square; each has kTile / kSide rows and columns of a tile of scores.
constexpr int kSide = 16;
constexpr int kThreads = kSide * kSide;

struct Bfloat16 {
  std::uint16_t bits;
};

TT_HOST_DEVICE inline float to_float(float x) { return x; }
TT_HOST_DEVICE inline float to_float(Bfloat16 x) {
  const std::uint32_t wide = static_cast<std::uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}
TT_HOST_DEVICE inline void put(float* to, float x) { *to = x; }
// To the nearest, ties to even; NaN stays NaN.
TT_HOST_DEVICE inline void put(Bfloat16* to, float x) {
  std::uint32_t wide;
  memcpy(&wide, &x, sizeof wide);
  if (x != x)
    to->bits = static_cast<std::uint16_t>((wide >> 16) | 0x40u);
  else
    to->bits = static_cast<std::uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16);
}

TT_HOST_DEVICE inline int smaller(int a, int b) { return a < b ? a : b; }
TT_HOST_DEVICE inline float larger(float a, float b) { return a < b ? b : a; }
TT_HOST_DEVICE inline float minus_infinity() { return -HUGE_VALF; }

// Word `position` of the stream with this key and upper counter: RandomStream::bits of runtime/random.h.
TT_HOST_DEVICE inline std::uint32_t random_word(const std::uint32_t (&stream)[4], std::uint64_t position) {
  const std::uint64_t block = position / 4;
  std::uint32_t c[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream[2],
                        stream[3]};
  std::uint32_t key0 = stream[0], key1 = stream[1];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(0xD2511F53u) * c[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(0xCD9E8D57u) * c[2];
    c[0] = static_cast<std::uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    c[1] = static_cast<std::uint32_t>(product1);
    c[2] = static_cast<std::uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[3] = static_cast<std::uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c[position % 4];
}

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

// ------------------------------------------------------------------------------------ parts of the
// arithmetic

TT_HOST_DEVICE inline int bucket_of(const Setting& s, int distance) {
  const int within = distance < -s.reach ? -s.reach : smaller(distance, s.reach);
  return s.buckets[within + s.reach];
}

TT_HOST_DEVICE inline float bias_of(const Setting& s, int distance, int head) {
  return s.table == nullptr ? 0.0f : s.table[bucket_of(s, distance) * s.heads + head];
}

TT_HOST_DEVICE inline float key_factor(const Setting& s, int row, int key, int head) {
  const KeyDropout& d = s.dropout;
  if (d.mask != nullptr) return d.mask[(s.key_offsets[row] + key) * s.heads + head];
  if (d.streams == nullptr) return 1.0f;
  const std::uint64_t position = (d.site << 32) + static_cast<std::uint64_t>(key) * d.all_heads +
                                 static_cast<std::uint64_t>(d.first_head + head);
  return random_word(d.streams[row].words, position) < d.dropped ? 0.0f : d.kept;
}

TT_HOST_DEVICE inline bool is_visible(bool causal, int query, int key) { return !causal || key <= query; }

// What sums so far shrink by when the largest score becomes `now`.
TT_HOST_DEVICE inline float shrink_of(float before, float now) {
  return before == now ? 1.0f : expf(before - now);
}
// exp(score - largest), 0 where nothing is visible.
TT_HOST_DEVICE inline float weight_of(float score, float largest) {
  return score == minus_infinity() ? 0.0f : expf(score - largest);
}
// The gradient of a score whose weight is p, whose dropped-out weight has the gradient dp.
TT_HOST_DEVICE inline float score_gradient(float p, float factor, float dp, float delta) {
  return p * (factor * dp - delta);
}

// -------------------------------------------------------------------------------------------- tiles of a
// block

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

// -------------------------------------------------------------------------------------------------------
// teams

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

// -----------------------------------------------------------------------------------------------------
// forward

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

// ----------------------------------------------------------------------------------------------------
// backward

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

// -------------------------------------------------------------------------------------------------------
// sizes

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
