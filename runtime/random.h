// SPDX-License-Identifier: Apache-2.0
//
// Counter-based random numbers: a number is a pure function of (seed, purpose, step, sample, position), so
// that what a run draws depends neither on the layout nor on the micro-batch nor on how often it was resumed.
// The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trimtab {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

// What numbers are drawn for. The values are part of the meaning of a seed: append, never renumber.
enum class Purpose : std::uint32_t {
  kInit = 1,        // initial values of tuned tensors
  kSample = 2,      // which examples a step takes, and draws in decoding
  kShuffle = 3,     // the order of an epoch
  kDropout = 4,     // dropout on activations
  kCorruption = 5,  // span corruption and prefix splits
  kAttentionDropout = 6,
  kMixture = 7,    // which task of a mixture a row comes from
  kBootstrap = 8,  // resampling of scores
  kTest = 9,
};

// A stream of numbers, addressed by position. A value: copy it, use it from any thread.
//
// Layout: two independent chains of 64-bit mixers (splitmix64's finalizer, which is a bijection) over seed,
// purpose, step and sample give the 64-bit key and the upper half of the 128-bit counter; the lower half is
// the block number. A change of any one argument always changes both.
//
// Each kind of draw uses the words of the blocks in its own way, so one stream should serve one kind of draw:
// words of bits() and of normal() at nearby positions are the same raw bits.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t step = 0, std::uint64_t sample = 0);

  // 32 random bits: word position % 4 of block position / 4.
  std::uint32_t bits(std::uint64_t position) const;
  // [0, 1), a multiple of 2^-24, from bits(position).
  float uniform(std::uint64_t position) const;
  // [0, 1), a multiple of 2^-53, from half of block position / 2.
  double uniform_double(std::uint64_t position) const;
  // [0, bound), every value with the same probability (Lemire 2019, with rejection), from block `position`.
  // bound > 0.
  std::uint64_t bounded(std::uint64_t position, std::uint64_t bound) const;
  // Mean 0, variance 1 (Box-Muller in double, from block position / 2). Equal up to the last bits of the C
  // library's log and cos on different machines; all other draws are exact everywhere.
  double normal(std::uint64_t position) const;

  // The four words of one block.
  PhiloxCounter block(std::uint64_t index) const;

  PhiloxKey key() const { return key_; }
  // Words 2 and 3 of the counter.
  std::array<std::uint32_t, 2> counter_high() const { return high_; }

 private:
  PhiloxKey key_{};
  std::array<std::uint32_t, 2> high_{};
};

// out[i] = stream.bits(first_position + i), vectorised.
void fill_uniform_bits(const RandomStream& stream, std::uint64_t first_position, std::size_t count,
                       std::uint32_t* out);

// out[i] = float(stream.normal(first_position + i)).
void fill_normal(const RandomStream& stream, std::uint64_t first_position, std::size_t count, float* out);

// A permutation of 0 .. n-1 (Fisher-Yates from the end, with stream.bounded at position i for element i).
std::vector<std::uint32_t> permutation(std::uint32_t n, const RandomStream& stream);

}  // namespace trimtab
