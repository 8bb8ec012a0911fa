// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <c10/core/GradMode.h>

namespace trimtab {

TokenRows ModelStage::generate(const MicroBatch& batch, std::int64_t max_tokens) {
  const c10::NoGradGuard no_grad;
  const std::unique_ptr<StageDecoder> decoder = prefill({}, batch, max_tokens).decoder;
  GreedyRows rows(batch.rows(), eos_id());
  at::Tensor ids = decoder->first_ids();
  for (std::int64_t step = 0; step < max_tokens && !rows.done(); ++step) {
    ids = decoder->most_likely(decoder->step(ids));
    rows.add(ids);
  }
  return rows.found();
}

}  // namespace trimtab
