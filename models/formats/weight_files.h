// SPDX-License-Identifier: Apache-2.0
//
// What the files of all families share: a model is a list of weights with names and shapes; files are
// compared with that list before they are used, may call a weight otherwise, and our own HDF5 form holds the
// weights under their logical names, the config as JSON in an attribute, and the vocabulary.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/tensor_source.h"
#include "runtime/tensor_store.h"

namespace trimtab {

// A weight of a model by its logical name.
struct WeightShape {
  std::string name;
  Shape shape;
};
using WeightShapes = std::vector<WeightShape>;

// Elements of all of them.
std::int64_t element_count(const WeightShapes& weights);

// Logical names of weights that a file has under another name.
using StoredNames = std::map<std::string, std::string>;

// float32 or bfloat16, as which weights are stored.
bool is_weight_type(DType type);

// Compares names, shapes and types with the list; everything that is wrong goes into one Error. `ignored`
// tensors may be there. `kind` is what the model is called in the message.
void check_weights(const TensorSource& source, const WeightShapes& expected,
                   const std::set<std::string>& ignored, const StoredNames& stored, const std::string& kind);

// Exactly the weights of the list under their logical names, whatever else `source` holds.
std::unique_ptr<TensorSource> weight_view(std::unique_ptr<TensorSource> source, const WeightShapes& weights,
                                          const StoredNames& stored);

// Calls use(slab, bytes) for parts of at most some megabytes, whole rows each, in order, until it says false.
void in_pieces(const TensorSource& source, const std::string& name, DType type,
               const std::function<bool(const Slab&, const std::vector<std::byte>&)>& use);

// Same shape and same values in float32.
bool same_values(const TensorSource& source, const std::string& a, const std::string& b);

// The whole text of a file.
std::string file_text(const std::string& path);

// Writes the weights of the list, which `weights` must hold, in `type`. ConfigError for a type that weights
// are not stored as.
void write_weights(TensorStoreWriter& writer, const TensorSource& weights, const WeightShapes& list,
                   DType type);

// The vocabulary that a model came with.
struct TokenizerFile {
  std::string path;   // beside the weights; empty when there is none, or when it lies in the same file
  std::string bytes;  // wherever they were; empty when there is none
  std::string name = "spiece.model";  // what such a file is called
  // Of the file kTokenizerConfig beside a tokenizer.json, which alone does not say what ends a text.
  std::string config = {};
};
inline constexpr const char* kTokenizerConfig = "tokenizer_config.json";

// The vocabulary inside a store: its bytes in the int32 tensor `tokenizer.model`, four an element,
// `tokenizer_bytes` of them; its config in the same way in `tokenizer.config`. Empty: none. The name is the
// caller's.
std::set<std::string> tokenizer_tensors();
void write_tokenizer(TensorStoreWriter& writer, const TokenizerFile& tokenizer);
TokenizerFile read_tokenizer(const TensorStore& store);
// As files in a folder that is there.
void write_tokenizer(const std::string& folder, const TokenizerFile& tokenizer);

// Writes the tensors of the list, largest types first, to `folder`/model.safetensors. `stored` names the
// tensor of `weights` to take for those that are not in it.
void write_safetensors(const TensorSource& weights, const WeightShapes& list, const StoredNames& stored,
                       const std::string& folder);

}  // namespace trimtab
