// SPDX-License-Identifier: Apache-2.0
#include "runtime/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9u;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85u;
constexpr int kRounds = 10;

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

std::uint64_t joined(std::uint32_t first, std::uint32_t second) {
  return first | (static_cast<std::uint64_t>(second) << 32);
}

// splitmix64's finalizer (Steele, Lea, Flood 2014; constants of Stafford's variant 13). A bijection of 64
// bits.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// For fixed other arguments a bijection of each one.
std::uint64_t chained(std::uint64_t start, const std::array<std::uint64_t, 4>& values) {
  std::uint64_t state = start;
  for (const std::uint64_t value : values) state = mixed((state ^ mixed(value)) + 0x9E3779B97F4A7C15u);
  return state;
}

// kLanes blocks at once, word by word, so that the compiler turns each inner loop into vector instructions.
constexpr std::size_t kLanes = 16;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
// The sanitizers' runtimes do not survive the resolver that target_clones needs.
#define TT_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TT_VECTOR_CLONES
#endif

TT_VECTOR_CLONES
void philox_lanes(std::uint64_t first_block, std::uint32_t counter2, std::uint32_t counter3,
                  std::uint32_t key0, std::uint32_t key1, std::uint32_t* out) {
  std::uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::uint64_t block = first_block + i;
    c0[i] = static_cast<std::uint32_t>(block);
    c1[i] = static_cast<std::uint32_t>(block >> 32);
    c2[i] = counter2;
    c3[i] = counter3;
  }
  for (int round = 0; round < kRounds; ++round) {
// g++ would unroll the loop before it looks for vectors, and then find none.
#pragma GCC unroll 1
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t product0 = static_cast<std::uint64_t>(kMultiplier0) * c0[i];
      const std::uint64_t product1 = static_cast<std::uint64_t>(kMultiplier1) * c2[i];
      c0[i] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[i] ^ key0;
      c2[i] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[i] ^ key1;
      c1[i] = static_cast<std::uint32_t>(product1);
      c3[i] = static_cast<std::uint32_t>(product0);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  for (std::size_t i = 0; i < kLanes; ++i) {
    out[4 * i] = c0[i];
    out[4 * i + 1] = c1[i];
    out[4 * i + 2] = c2[i];
    out[4 * i + 3] = c3[i];
  }
}

double unit_double(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

// Both normals of a Box-Muller pair.
std::pair<double, double> normal_pair(const PhiloxCounter& words) {
  // 1 - u lies in (0, 1], so that the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit_double(joined(words[0], words[1]))));
  const double angle = 2.0 * std::numbers::pi * unit_double(joined(words[2], words[3]));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace

PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(kMultiplier0) * counter[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(kMultiplier1) * counter[2];
    counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1],
               low(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

RandomStream::RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint64_t sample) {
  const std::array<std::uint64_t, 4> values{seed, static_cast<std::uint64_t>(purpose), step, sample};
  // The starts are the fractional digits of sqrt(2) and sqrt(3): two chains that have nothing to do with each
  // other.
  const std::uint64_t key = chained(0x6A09E667F3BCC908u, values);
  const std::uint64_t upper = chained(0xBB67AE8584CAA73Bu, values);
  key_ = {low(key), high(key)};
  high_ = {low(upper), high(upper)};
}

PhiloxCounter RandomStream::block(std::uint64_t index) const {
  return philox4x32({low(index), high(index), high_[0], high_[1]}, key_);
}

std::uint32_t RandomStream::bits(std::uint64_t position) const { return block(position / 4)[position % 4]; }

float RandomStream::uniform(std::uint64_t position) const {
  return static_cast<float>(bits(position) >> 8) * 0x1.0p-24f;
}

double RandomStream::uniform_double(std::uint64_t position) const {
  const PhiloxCounter words = block(position / 2);
  return unit_double(position % 2 == 0 ? joined(words[0], words[1]) : joined(words[2], words[3]));
}

std::uint64_t RandomStream::bounded(std::uint64_t position, std::uint64_t bound) const {
  TT_CHECK(bound > 0, "a bound of 0 leaves no number");
  const std::uint64_t threshold = (0 - bound) % bound;  // 2^64 mod bound
  // Rejected draws go on with other keys at the same counter: the numbers of other positions are not touched.
  for (std::uint32_t attempt = 0;; ++attempt) {
    const PhiloxCounter words =
        philox4x32({low(position), high(position), high_[0], high_[1]}, {key_[0], key_[1] ^ attempt});
    for (const std::uint64_t draw : {joined(words[0], words[1]), joined(words[2], words[3])}) {
      const auto product = static_cast<unsigned __int128>(draw) * bound;
      if (static_cast<std::uint64_t>(product) >= threshold) return static_cast<std::uint64_t>(product >> 64);
    }
  }
}

double RandomStream::normal(std::uint64_t position) const {
  const auto [even, odd] = normal_pair(block(position / 2));
  return position % 2 == 0 ? even : odd;
}

void fill_uniform_bits(const RandomStream& stream, std::uint64_t first_position, std::size_t count,
                       std::uint32_t* out) {
  const PhiloxKey key = stream.key();
  const auto upper = stream.counter_high();
  std::size_t done = 0;
  for (; done < count && (first_position + done) % 4 != 0; ++done)
    out[done] = stream.bits(first_position + done);
  for (; count - done >= 4 * kLanes; done += 4 * kLanes)
    philox_lanes((first_position + done) / 4, upper[0], upper[1], key[0], key[1], out + done);
  if (done == count) return;
  std::uint32_t rest[4 * kLanes];
  philox_lanes((first_position + done) / 4, upper[0], upper[1], key[0], key[1], rest);
  std::copy_n(rest, count - done, out + done);
}

void fill_normal(const RandomStream& stream, std::uint64_t first_position, std::size_t count, float* out) {
  std::size_t done = 0;
  if (count > 0 && first_position % 2 == 1) out[done++] = static_cast<float>(stream.normal(first_position));
  for (; done < count; done += 2) {
    const auto [even, odd] = normal_pair(stream.block((first_position + done) / 2));
    out[done] = static_cast<float>(even);
    if (done + 1 < count) out[done + 1] = static_cast<float>(odd);
  }
}

std::vector<std::uint32_t> permutation(std::uint32_t n, const RandomStream& stream) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (std::uint32_t i = n; i-- > 1;) std::swap(order[i], order[stream.bounded(i, std::uint64_t{i} + 1)]);
  return order;
}

}  // namespace trimtab
