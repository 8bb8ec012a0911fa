// SPDX-License-Identifier: Apache-2.0
//
// Proof that a saved file is what was trained, and that what was trained is used: the file is read back and a
// few rows are scored with it and without the method.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/checkpoint.h"
#include "models/methods/tuning_method.h"
#include "models/model.h"
#include "parallel/micro_batch.h"

namespace trimtab {

inline constexpr std::int64_t kProbeRows = 4;

// The first rows of the first micro-batch.
std::vector<MicroBatch> first_rows(const std::vector<MicroBatch>& batches, std::int64_t rows);

// `score` gives the loss of the probe; `trained` is what it gave before the file was written. Wipes the
// values, reads them from the checkpoint, and scores again: Error when the loss differs, or when it is the
// same with the method switched off and with other values (methods that train the base have nothing to switch
// off). Leaves the values of the file behind, which are those that were there.
void verify_saved(const std::string& path, const CheckpointShare& share, ModelStage& stage,
                  TuningMethod& method, const Parameters& parameters, double trained,
                  const std::function<double()>& score);

}  // namespace trimtab
