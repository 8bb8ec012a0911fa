// SPDX-License-Identifier: Apache-2.0
//
// T5Config as JSON: as Hugging Face's config.json of old and new versions of transformers, and as the
// attribute of our own files, which holds exactly the fields of the struct.
#pragma once

#include <string>
#include <string_view>

#include "models/t5/t5_config.h"
#include "runtime/dtype.h"

namespace trimtab {

// In all functions `where` begins each message: the file, or the file and the attribute.

// Our own form. Reading is strict: unknown, missing and malformed fields throw Error, senseless ones
// ConfigError.
std::string t5_config_to_json(const T5Config& config);
T5Config t5_config_from_json(std::string_view text, const std::string& where);

struct HfT5Config {
  T5Config
      config;  // tied_head is not known from this file alone: it depends on the tensors, and is true here
  bool says_untied = false;  // "tie_word_embeddings": false
};
// Reads a config.json. The scale of the decoder's output follows scale_decoder_outputs (transformers 5) if it
// is there, else it is on unless tie_word_embeddings is false (4.x). Throws ConfigError for what is no T5
// that we can run.
HfT5Config t5_config_from_hf(std::string_view text, const std::string& where);

// A config.json for weights of `type` that transformers 4.x and 5 read as the same model. `head_in_file`:
// lm_head.weight is among the tensors. ConfigError for an untied head behind a scaled output, which 4.x
// cannot express.
std::string t5_config_to_hf(const T5Config& config, DType type, bool head_in_file);

}  // namespace trimtab
