// SPDX-License-Identifier: Apache-2.0
//
// A model with what a run trained put into its weights, so that it is used without the method: LoRA's terms
// are added, IA3's factors multiplied in, tuned weights replaced.
#pragma once

#include <string>

#include "runtime/dtype.h"

namespace trimtab {

struct MergeRequest {
  std::string checkpoint;  // of a run
  std::string out;         // to be written: an .h5 of ours, or a folder of Hugging Face's form
  std::string weights;     // the base; empty: where the checkpoint says it was
};
// Throws ConfigError for another base than the checkpoint's, and for methods whose result is no weight. Gives
// a line for people.
std::string merge_trained(const MergeRequest& wanted);

}  // namespace trimtab
