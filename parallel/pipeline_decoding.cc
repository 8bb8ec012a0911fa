// SPDX-License-Identifier: Apache-2.0
#include "parallel/pipeline_decoding.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "parallel/decoding_wave.h"

namespace trimtab {
namespace {

class Decoding {
 public:
  using Outgoing = DecodingWave::Outgoing;

  Decoding(DecodingWave& wave, const DecodingLimits& limits) : wave_(wave), limits_(limits) {
    for (int micro = 0; micro < wave.count(); ++micro)
      rows_.emplace_back(wave.batch(micro).rows(), limits.eos_id);
  }

  std::vector<TokenRows> run() {
    for (int begin = 0; begin < wave_.count(); begin += wave_.size()) {
      const int end = std::min(begin + wave_.size(), wave_.count());
      wave_.prefill(begin, end, limits_.max_tokens);
      if (wave_.decodes() && wave_.size() == 1) decode_here(begin);
      if (wave_.decodes() && wave_.size() > 1) decode_wave(begin, end);
    }
    return shared();
  }

 private:
  GreedyRows& rows(int micro) { return rows_[static_cast<std::size_t>(micro)]; }

  // The whole decoder is on this stage.
  void decode_here(int micro) {
    StageDecoder& decoder = wave_.decoder(micro);
    at::Tensor ids = decoder.first_ids();
    for (std::int64_t t = 0; t < limits_.max_tokens && !rows(micro).done(); ++t) {
      ids = decoder.most_likely(decoder.step(ids));
      wave_.pipe().settle();
      rows(micro).add(ids);
    }
  }

  void decode_wave(int begin, int end) {
    std::vector<int> active(static_cast<std::size_t>(end - begin));
    std::iota(active.begin(), active.end(), begin);
    Outgoing out;
    for (std::int64_t t = 0; t < limits_.max_tokens; ++t) {
      const std::vector<int> round = active;
      for (const int micro : round)
        if (!token(micro, t, out)) std::erase(active, micro);
    }
    wave_.exchange(out, {}, -1);
  }

  // Token t of every row of a micro-batch; false if its rows had all ended before.
  bool token(int micro, std::int64_t t, Outgoing& out) {
    StageDecoder& decoder = wave_.decoder(micro);
    bool going = true;
    at::Tensor in;
    if (wave_.is_head()) {
      if (t > 0) {
        in = at::empty({wave_.batch(micro).rows()}, at::TensorOptions(at::kLong));
        wave_.exchange(out, {in}, wave_.tail());
        rows(micro).add(in);
        going = !rows(micro).done();
      } else {
        in = decoder.first_ids();
        wave_.exchange(out, {}, -1);
      }
    } else {
      in = wave_.activations(micro);
      const at::Tensor word = at::empty({1}, at::TensorOptions(at::kLong));
      wave_.exchange(out, {word, in}, wave_.pipe().rank() - 1);
      going = word.item<std::int64_t>() != 0;
    }
    const at::Tensor x = going ? decoder.step(in) : at::Tensor();
    if (wave_.is_tail())
      out = finish(micro, t, going ? decoder.most_likely(x) : x);
    else
      out = hand_on(micro, x);
    return going;
  }

  // On the last stage: the ids go back for the next token, if there is one. What the host decides by, ids and
  // whether rows go on, travels in its memory, whatever the device of the activations.
  Outgoing finish(int micro, std::int64_t t, const at::Tensor& found) {
    if (!found.defined()) return {};
    wave_.pipe().settle();
    const at::Tensor ids = found.cpu().contiguous();
    rows(micro).add(ids);
    if (t + 1 == limits_.max_tokens) return {};
    return {{ids}, wave_.head()};
  }

  // x undefined: the micro-batch has ended.
  Outgoing hand_on(int micro, const at::Tensor& x) {
    const at::Tensor sent = x.defined() ? wave_.as_sent(x, micro) : wave_.activations(micro).zero_();
    const at::Tensor word = at::full({1}, x.defined() ? 1 : 0, at::TensorOptions(at::kLong));
    return {{word, sent}, wave_.pipe().rank() + 1};
  }

  // What the last stage found, on all stages.
  std::vector<TokenRows> shared() {
    Communicator& pipe = wave_.pipe();
    std::vector<TokenRows> found;
    for (const GreedyRows& rows : rows_) found.push_back(rows.found());
    if (pipe.size() == 1) return found;
    std::vector<std::int64_t> lengths;
    std::vector<std::int32_t> ids;
    for (const TokenRows& rows : found)
      for (const auto& row : rows) {
        lengths.push_back(static_cast<std::int64_t>(row.size()));
        ids.insert(ids.end(), row.begin(), row.end());
      }
    pipe.broadcast({lengths.data(), static_cast<std::int64_t>(lengths.size()), DType::kInt64}, wave_.tail(),
                   Traffic::kControl);
    ids.resize(static_cast<std::size_t>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0})));
    pipe.broadcast({ids.data(), static_cast<std::int64_t>(ids.size()), DType::kInt32}, wave_.tail(),
                   Traffic::kControl);
    std::size_t row_at = 0;
    auto id_at = ids.begin();
    for (TokenRows& rows : found)
      for (auto& row : rows) {
        row.assign(id_at, id_at + lengths[row_at]);
        id_at += lengths[row_at++];
      }
    return found;
  }

  DecodingWave& wave_;
  DecodingLimits limits_;
  std::vector<GreedyRows> rows_;
};

}  // namespace

std::vector<TokenRows> decode_through_pipe(Communicator& pipe, int first_decoding, PipelineStage& stage,
                                           const std::vector<MicroBatch>& batches,
                                           const DecodingLimits& limits) {
  const c10::NoGradGuard no_grad;
  DecodingWave wave(pipe, first_decoding, stage, batches);
  return Decoding(wave, limits).run();
}

}  // namespace trimtab
