// SPDX-License-Identifier: Apache-2.0
//
// The parts of RankMemory by name, for tables, files, pictures and advice.
#pragma once

#include <array>
#include <cstdint>

#include "experiments/memory_plan.h"

namespace trimtab {

struct MemoryPart {
  const char* name;
  const char* key;
  std::int64_t RankMemory::*bytes;
  bool of_training_only, of_scoring_only;
  const char* remedy;  // what makes it smaller
};

inline const std::array<MemoryPart, 8>& memory_parts() {
  static constexpr const char* kCut =
      "more ranks along mesh.pipe and mesh.tensor, or model.compute: bfloat16";
  static constexpr const char* kMicro = "a lower train.micro_batch_tokens, or more ranks along mesh.tensor";
  static constexpr const char* kScored = "a lower evaluate.batch_tokens, or more ranks along mesh.tensor";
  static const std::array<MemoryPart, 8> parts = {{
      {"the program", "program", &RankMemory::program, false, false, "a device with more memory"},
      {"weights", "weights", &RankMemory::weights, false, false, kCut},
      {"what is trained", "trained", &RankMemory::trained, false, false,
       "a smaller method, or more ranks along mesh.tensor"},
      {"activations", "activations", &RankMemory::activations, true, false, kMicro},
      {"at work", "working", &RankMemory::working, true, false, kMicro},
      {"messages", "communication", &RankMemory::communication, true, false, kMicro},
      {"caches of decoding", "caches", &RankMemory::caches, false, true, kScored},
      {"at work on scores", "decoding", &RankMemory::decoding, false, true, kScored},
  }};
  return parts;
}

}  // namespace trimtab
