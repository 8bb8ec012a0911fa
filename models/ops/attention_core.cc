// SPDX-License-Identifier: Apache-2.0
#include "models/ops/attention_core.h"

#include <algorithm>

#include "models/ops/kernels.h"

// The Fortran interface of the BLAS that LibTorch is linked with and exports.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* ld_a, const float* b,
                       const int* ld_b, const float* beta, float* c, const int* ld_c);

namespace trimtab::detail {
namespace {

constexpr std::int64_t kBlockFloats = 65536;  // 256 KiB of scores; backward holds two such blocks
constexpr std::int64_t kSmallestBlock = 16;

// Queries of a block: blocks of a row are about equal.
std::int64_t block_of(std::int64_t queries, std::int64_t keys) {
  const std::int64_t most = std::max(kSmallestBlock, kBlockFloats / std::max<std::int64_t>(1, keys));
  const std::int64_t blocks = (queries + most - 1) / most;
  return blocks == 0 ? 0 : (queries + blocks - 1) / blocks;
}

ScoreBlock block_at(const HeadInput& in, std::int64_t first, std::int64_t size) {
  ScoreBlock block = {};
  block.queries = std::min(size, in.queries - first);
  block.keys = in.causal ? std::min(in.keys, first + block.queries) : in.keys;
  block.ld_scores = block.keys;
  block.causal = in.causal;
  block.first_visible = first + 1;
  block.bias = in.bias ? in.bias - first : nullptr;
  block.key_mask = in.key_mask;
  return block;
}

void clear(MutableHeadView view, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row) std::fill_n(view.data + row * view.ld, width, 0.0f);
}

}  // namespace

void multiply(const Product& product, const float* a, std::int64_t ld_a, const float* b, std::int64_t ld_b,
              float* c, std::int64_t ld_c) {
  if (product.m == 0 || product.n == 0) return;
  // Row-major C = A B is column-major C^T = B^T A^T.
  const char first = product.transpose_b ? 'T' : 'N';
  const char second = product.transpose_a ? 'T' : 'N';
  const auto m = static_cast<int>(product.n);
  const auto n = static_cast<int>(product.m);
  const auto k = static_cast<int>(product.k);
  const auto ld_first = static_cast<int>(ld_b);
  const auto ld_second = static_cast<int>(ld_a);
  const auto ld_result = static_cast<int>(ld_c);
  const float alpha = 1.0f;
  sgemm_(&first, &second, &m, &n, &k, &alpha, b, &ld_first, a, &ld_second, &product.beta, c, &ld_result);
}

std::int64_t head_scratch(std::int64_t queries, std::int64_t keys) {
  // Shorter rows may get larger blocks: never more floats than kBlockFloats or the smallest block of the
  // longest row.
  const std::int64_t scores = std::max(std::min(kBlockFloats, queries * keys), kSmallestBlock * keys);
  return 2 * scores + 2 * std::max(queries, kSmallestBlock);
}

void head_forward(const HeadInput& in, MutableHeadView out, float* log_sum, float* scratch) {
  const std::int64_t size = block_of(in.queries, in.keys);
  float* inverse = scratch;
  float* scores = scratch + std::max(in.queries, kSmallestBlock);
  for (std::int64_t first = 0; first < in.queries; first += size) {
    const ScoreBlock block = block_at(in, first, size);
    multiply({.transpose_b = true, .m = block.queries, .n = block.keys, .k = in.width},
             in.q.data + first * in.q.ld, in.q.ld, in.k.data, in.k.ld, scores, block.ld_scores);
    kernels().softmax(block, scores, log_sum + first, inverse);
    float* to = out.data + first * out.ld;
    multiply({.m = block.queries, .n = in.width, .k = block.keys}, scores, block.ld_scores, in.v.data,
             in.v.ld, to, out.ld);
    kernels().scale_rows(inverse, block.queries, in.width, out.ld, to);
  }
}

void head_backward(const HeadInput& in, HeadView out, HeadView dout, const float* log_sum,
                   const HeadGradients& gradients, float* scratch) {
  const std::int64_t size = block_of(in.queries, in.keys);
  float* delta = scratch;
  float* scores = scratch + std::max(in.queries, kSmallestBlock);
  float* slopes = scores + size * in.keys;
  if (!gradients.adds_to_keys) {
    clear(gradients.dk, in.keys, in.width);
    clear(gradients.dv, in.keys, in.width);
  }
  for (std::int64_t first = 0; first < in.queries; first += size) {
    const ScoreBlock block = block_at(in, first, size);
    const float* q = in.q.data + first * in.q.ld;
    const float* slope = dout.data + first * dout.ld;
    // sum_k P dP = O . dO, the key mask included
    kernels().dot_rows(slope, dout.ld, out.data + first * out.ld, out.ld, block.queries, in.width, delta);
    const Product to_scores = {.transpose_b = true, .m = block.queries, .n = block.keys, .k = in.width};
    multiply(to_scores, q, in.q.ld, in.k.data, in.k.ld, scores, block.ld_scores);
    multiply(to_scores, slope, dout.ld, in.v.data, in.v.ld, slopes, block.ld_scores);
    kernels().softmax_backward(block, log_sum + first, delta, scores, slopes);
    const Product to_keys = {
        .transpose_a = true, .m = block.keys, .n = in.width, .k = block.queries, .beta = 1.0f};
    multiply(to_keys, scores, block.ld_scores, slope, dout.ld, gradients.dv.data, gradients.dv.ld);
    multiply(to_keys, slopes, block.ld_scores, q, in.q.ld, gradients.dk.data, gradients.dk.ld);
    multiply({.m = block.queries, .n = in.width, .k = block.keys}, slopes, block.ld_scores, in.k.data,
             in.k.ld, gradients.dq.data + first * gradients.dq.ld, gradients.dq.ld);
    if (gradients.dbias) kernels().add_diagonals(block, slopes, gradients.dbias - first);
  }
}

}  // namespace trimtab::detail
