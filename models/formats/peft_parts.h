// SPDX-License-Identifier: Apache-2.0
//
// What writing and reading of PEFT's adapters share: the names of modules, and how shapes and positions of
// keys are compared and turned.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/formats/peft_methods.h"

namespace trimtab::peft {

inline constexpr const char* kPrompt = "prompt_embeddings";
// In front of the names of modules of the base.
inline constexpr std::string_view kModule = "base_model.model.";

struct LinearShape {
  std::string module;
  std::int64_t in = 0, out = 0;
};

std::string_view last_part(std::string_view name);

// The linear maps of a base's layers: its matrices but for tables and the head.
std::vector<LinearShape> linears_of(const PeftBase& base);

// Throws ConfigError that names the nearest one when there is none. `where` begins messages, here and below.
const LinearShape& find_linear(const std::vector<LinearShape>& linears, const std::string& module,
                               const std::string& where);

// The last parts of names where those mean exactly `modules`, else whole names.
std::vector<std::string> short_targets(const std::set<std::string>& modules,
                                       const std::vector<LinearShape>& linears);

// What `name` is without `suffix`; nothing if it does not end so.
std::optional<std::string> module_of(std::string_view name, std::string_view suffix);

void check_array(const std::string& where, const NamedArray& array, const Shape& expected);

// Throws ConfigError where columns of queries and keys are in another order than PEFT's. `module` empty: any.
void check_order_of_columns(const PeftBase& base, const std::string& where, std::string_view module = "");

// The decoder's self-attention of a layer, the only one that a prefix of PEFT's reaches.
std::string prefix_attention(const PeftBase& base, std::int64_t layer);

// Turns the keys [positions, key width] of positions 0, 1, ... as the model turns them, or back.
void turn_keys(std::vector<float>& keys, std::int64_t positions, const AttentionShape& attention, bool back);

}  // namespace trimtab::peft
