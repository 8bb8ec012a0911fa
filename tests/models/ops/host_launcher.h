// SPDX-License-Identifier: Apache-2.0
//
// Launches the blocks of models/ops/ragged_attention.h on the host, one after the other, for tensors whose
// memory it can read; for the time of a test, all attention of a kind of device goes through it.
#pragma once

#include <memory>

#include "models/ops/device_attention.h"
#include "models/ops/ragged_attention.h"

namespace trimtab::test {

class HostLauncher : public ragged::Launcher {
 public:
  void forward(const ragged::Input<float>& in, const ragged::Output<float>& to,
               const ragged::Extent& extent) const override {
    run_forward(in, to, extent);
  }
  void forward(const ragged::Input<ragged::Bfloat16>& in, const ragged::Output<ragged::Bfloat16>& to,
               const ragged::Extent& extent) const override {
    run_forward(in, to, extent);
  }
  void backward(const ragged::Input<float>& in, const ragged::Gradients<float>& to,
                const ragged::Extent& extent) const override {
    run_backward(in, to, extent);
  }
  void backward(const ragged::Input<ragged::Bfloat16>& in, const ragged::Gradients<ragged::Bfloat16>& to,
                const ragged::Extent& extent) const override {
    run_backward(in, to, extent);
  }
  // How often anything went through it.
  int launches() const { return launches_; }

 private:
  // Backwards: no block may rely on another one.
  template <class Block>
  static void for_blocks(int rows, int heads, int tiles, const Block& block) {
    for (int row = rows; row-- > 0;)
      for (int head = heads; head-- > 0;)
        for (int tile = tiles; tile-- > 0;) block(row, head, tile);
  }

  template <class T>
  void run_forward(const ragged::Input<T>& in, const ragged::Output<T>& to,
                   const ragged::Extent& extent) const {
    ++launches_;
    const ragged::Setting& s = in.setting;
    ragged::with_sizes(s.width, [&](auto sizes) {
      constexpr int kWidth = decltype(sizes)::kWidth, kTile = decltype(sizes)::kForward;
      for_blocks(s.rows, s.heads, ragged::tiles_of(extent.longest_queries, kTile),
                 [&](int row, int head, int tile) {
                   const auto shared = std::make_unique<ragged::ForwardShared<kWidth, kTile>>();
                   ragged::HostTeam<ragged::ForwardState<kWidth, kTile>> team;
                   ragged::forward_block(in, to, row, head, tile, *shared, team);
                 });
    });
  }

  template <class T>
  void run_backward(const ragged::Input<T>& in, const ragged::Gradients<T>& g,
                    const ragged::Extent& extent) const {
    ++launches_;
    const ragged::Setting& s = in.setting;
    for (int head = 0; head < s.heads; ++head)
      for (std::int64_t token = 0; token < extent.query_tokens; ++token) ragged::delta_of(s, g, token, head);
    ragged::with_sizes(s.width, [&](auto sizes) {
      constexpr int kWidth = decltype(sizes)::kWidth, kTile = decltype(sizes)::kBackward;
      const auto shared = std::make_unique<ragged::BackwardShared<kWidth, kTile>>();
      for_blocks(s.rows, s.key_heads, ragged::tiles_of(extent.longest_keys, kTile),
                 [&](int row, int head, int tile) {
                   ragged::HostTeam<ragged::KeyState<kWidth, kTile>> team;
                   ragged::key_gradient_block(in, g, row, head, tile, *shared, team);
                 });
      for_blocks(s.rows, s.heads, ragged::tiles_of(extent.longest_queries, kTile),
                 [&](int row, int head, int tile) {
                   ragged::HostTeam<ragged::QueryState<kWidth, kTile>> team;
                   ragged::query_gradient_block(in, g, row, head, tile, *shared, team);
                 });
    });
  }

  mutable int launches_ = 0;
};

class UseHostLauncher {
 public:
  explicit UseHostLauncher(c10::DeviceType where) : where_(where) {
    use_attention(where, AttentionPath::kRagged, &launcher_);
  }
  ~UseHostLauncher() { use_attention(where_, AttentionPath::kComposed); }
  UseHostLauncher(const UseHostLauncher&) = delete;
  UseHostLauncher& operator=(const UseHostLauncher&) = delete;
  int launches() const { return launcher_.launches(); }

 private:
  c10::DeviceType where_;
  HostLauncher launcher_;
};

class UsePadding {
 public:
  explicit UsePadding(c10::DeviceType where) : where_(where) { use_attention(where, AttentionPath::kPadded); }
  ~UsePadding() { use_attention(where_, AttentionPath::kComposed); }
  UsePadding(const UsePadding&) = delete;
  UsePadding& operator=(const UsePadding&) = delete;

 private:
  c10::DeviceType where_;
};

}  // namespace trimtab::test
