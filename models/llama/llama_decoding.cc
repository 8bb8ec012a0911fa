// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_decoding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "parallel/vocab.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class LlamaDecoder final : public StageDecoder {
 public:
  LlamaDecoder(LlamaDecoding model, std::vector<KvCache> caches)
      : model_(std::move(model)), caches_(std::move(caches)) {}

  at::Tensor first_ids() const override {
    TT_CHECK(model_.first_ids.defined(), "this stage does not take ids");
    return model_.first_ids;
  }

  at::Tensor step(const at::Tensor& in) override {
    const c10::NoGradGuard no_grad;
    at::Tensor x = model_.embed ? model_.embed(in) : in;
    for (std::size_t i = 0; i < caches_.size(); ++i) {
      const LlamaAttention& attention = model_.layers[i].attention;
      const RotaryAngles angles = model_.rotary.at(caches_[i].lengths);
      x = x + attention.o(causal_attention_step(attention.project(x), caches_[i], attention.heads, angles));
      x = x + model_.layers[i].feed_forward(x);
    }
    return x;
  }

  void rewind(std::int64_t tokens) override {
    for (KvCache& cache : caches_) cache.rewind(tokens);
  }
  at::Tensor most_likely(const at::Tensor& x) override {
    const c10::NoGradGuard no_grad;
    return vocab_parallel_argmax(model_.logits(x), model_.vocabulary, model_.tensor);
  }
  at::Tensor log_likelihoods(const at::Tensor& x, const at::Tensor& ids) override {
    const c10::NoGradGuard no_grad;
    return vocab_parallel_log_likelihoods(model_.logits(x), ids, model_.vocabulary, model_.tensor);
  }

 private:
  LlamaDecoding model_;
  std::vector<KvCache> caches_;
};

}  // namespace

std::unique_ptr<StageDecoder> make_llama_decoder(LlamaDecoding model, std::vector<KvCache> caches) {
  return std::make_unique<LlamaDecoder>(std::move(model), std::move(caches));
}

}  // namespace trimtab
