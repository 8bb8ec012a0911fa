// SPDX-License-Identifier: Apache-2.0
#include "parallel/pipeline_ranking.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <span>

#include "parallel/decoding_wave.h"

namespace trimtab {
namespace {

using Outgoing = DecodingWave::Outgoing;

// What a step reads on this stage.
at::Tensor input_of(const CandidateStep& step, int micro, const DecodingWave& wave, Outgoing& out) {
  if (!wave.is_head()) {
    at::Tensor in = wave.activations(micro);
    wave.exchange(out, {in}, wave.pipe().rank() - 1);
    return in;
  }
  wave.exchange(out, {}, -1);
  if (step.token == CandidateStep::kFirst) return wave.decoder(micro).first_ids();
  return at::full({wave.batch(micro).rows()}, step.token, at::TensorOptions(at::kLong));
}

// The last stage's answers to each step of the micro-batches [begin, end), [rows, asked] each; else nothing.
std::vector<std::vector<at::Tensor>> ask(const CandidateWalk& walk, int begin, int end,
                                         const DecodingWave& wave) {
  std::vector<std::vector<at::Tensor>> answers(static_cast<std::size_t>(end - begin));
  Outgoing out;
  for (const CandidateStep& step : walk.steps())
    for (int micro = begin; micro < end; ++micro) {
      StageDecoder& decoder = wave.decoder(micro);
      if (step.rewind > 0) decoder.rewind(step.rewind);
      const at::Tensor x = decoder.step(input_of(step, micro, wave, out));
      if (wave.is_tail())
        answers[static_cast<std::size_t>(micro - begin)].push_back(
            decoder.log_likelihoods(x, at::tensor(step.asked, at::kLong)));
      else
        out = {{wave.as_sent(x, micro)}, wave.pipe().rank() + 1};
    }
  wave.exchange(out, {}, -1);
  return answers;
}

// Of each row and candidate.
std::vector<float> sums_of(const std::vector<at::Tensor>& answers, const CandidateWalk& walk) {
  const at::Tensor host = at::cat(answers, 1).cpu().contiguous();
  const auto asked = static_cast<std::size_t>(walk.asked());
  const std::span<const float> all(host.const_data_ptr<float>(), static_cast<std::size_t>(host.numel()));
  std::vector<float> out;
  for (std::size_t at = 0; at < all.size(); at += asked) {
    const std::vector<float> row = walk.sums(all.subspan(at, asked));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

}  // namespace

std::vector<std::vector<float>> rank_through_pipe(Communicator& pipe, int first_decoding,
                                                  PipelineStage& stage,
                                                  const std::vector<MicroBatch>& batches,
                                                  const CandidateWalk& walk) {
  const c10::NoGradGuard no_grad;
  std::vector<std::vector<float>> found;
  for (const MicroBatch& batch : batches)
    found.emplace_back(static_cast<std::size_t>(batch.rows() * walk.candidates()));
  DecodingWave wave(pipe, first_decoding, stage, batches);
  for (int begin = 0; begin < wave.count(); begin += wave.size()) {
    const int end = std::min(begin + wave.size(), wave.count());
    wave.prefill(begin, end, walk.depth());
    if (!wave.decodes()) continue;
    const std::vector<std::vector<at::Tensor>> answers = ask(walk, begin, end, wave);
    pipe.settle();
    for (int micro = begin; wave.is_tail() && micro < end; ++micro)
      found[static_cast<std::size_t>(micro)] =
          sums_of(answers[static_cast<std::size_t>(micro - begin)], walk);
  }
  if (pipe.size() > 1)
    for (std::vector<float>& rows : found)
      pipe.broadcast({rows.data(), static_cast<std::int64_t>(rows.size()), DType::kFloat32}, wave.tail(),
                     Traffic::kControl);
  return found;
}

}  // namespace trimtab
