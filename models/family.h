// SPDX-License-Identifier: Apache-2.0
//
// What the program asks of a kind of model, so that nothing above models/ knows one. A family opens a model
// on disk; the BaseModel it gives tells sizes, costs and needs from headers alone, and then makes stages,
// which read weights. One line a family in models/registry.cc. Whoever opens a model owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/formats/weight_files.h"
#include "models/model.h"
#include "parallel/stage_plan.h"
#include "runtime/registry.h"
#include "runtime/tensor_source.h"
#include "runtime/world.h"

namespace trimtab {

// Mean lengths of a row in tokens, >= 1 each.
struct RowLengths {
  double input = 512;  // positions of a prompt included
  double target = 8;
  double before_target = 0;  // trained positions in front of a decoder's input
};

// Units [begin, end) of BaseModel::cost_units().
struct UnitRange {
  int begin = 0, end = 0;
};
inline UnitRange units_of(const StagePlan& plan, int stage) { return {plan.begin(stage), plan.end(stage)}; }

// How a model reads a row: the input in an encoder and the target in a decoder, or both behind each other.
enum class TextForm { kEncoderDecoder, kDecoderOnly };

// Rows that go through a stage: their number, their tokens (those of a prompt are input), and the longest.
struct PassSize {
  std::int64_t rows = 0, input = 0, target = 0;
  std::int64_t longest = 0;        // input tokens of the longest row
  std::int64_t before_target = 0;  // trained positions in front of a decoder's input
};

inline std::int64_t positions(const PassSize& size) { return size.input + size.target + size.before_target; }

// What a rank is to hold and compute at the moment that needs most, for a count of its memory.
struct MemoryPlan {
  std::int64_t tensor = 1;         // the rank holds one part in so many of each layer
  bool sequence_parallel = false;  // and of the tokens between sharded work
  bool trains_base = false;
  bool trains_layers = false;  // something is attached to maps or attentions
  bool dropout = false;
  bool fused = true;                  // the kernels of the host, which keep no scores of an attention
  std::int64_t element_bytes = 4;     // of weights
  std::int64_t activation_bytes = 4;  // float32 on the host, whatever the weights are
  PassSize waiting;                   // of all micro-batches between their forward and their backward pass
  PassSize at_work;                   // of the largest micro-batch
  bool backward = true;               // at_work has a backward pass here
  std::int64_t decoded = 0;           // most tokens that are generated from at_work; 0: it is no decoding
};

// What a stage needs, in bytes on one rank.
struct StageBytes {
  std::int64_t weights = 0;  // with gradients and masters where they are trained
  std::int64_t kept = 0;     // for the backward passes of `waiting`
  std::int64_t working = 0;  // while at_work is computed, beside what is kept
  std::int64_t caches = 0;   // of decoding
};

// They are `weights` numbers on this rank.
std::int64_t weight_bytes(std::int64_t weights, const MemoryPlan& plan);

struct StageOptions {
  UnitRange units;
  DType compute =
      DType::kFloat32;       // of weights and activations; norms, softmax and losses are float32 always
  std::int64_t eos_id = -1;  // ends a target; -1: as the model's files have it
  at::Device device = at::kCPU;
  // Between sharded work each tensor rank holds a share of the tokens (TokenSplit). Decoding, which has a
  // token a row, goes without.
  bool sequence_parallel = false;
};

// The attentions of a model, for formats that describe them.
struct AttentionShape {
  std::int64_t width = 0;  // of the residual stream
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t encoder_layers = 0;  // 0: decoder-only
  std::int64_t decoder_layers = 0;
  // Radians by which the pairs of a key's columns turn from one position to the next, [head_dim / 2]; empty:
  // keys do not turn.
  std::vector<float> rotary_frequencies{};
  bool rotary_interleaved = false;  // pairs are columns 2 i and 2 i + 1, not i and i + head_dim / 2
};

class BaseModel {
 public:
  virtual ~BaseModel() = default;

  virtual TextForm text_form() const = 0;
  virtual AttentionShape attention_shape() const = 0;
  virtual std::int64_t parameter_count() const = 0;
  virtual std::int64_t vocabulary() const = 0;  // rows of the embedding table
  // The weight that holds the embedding table, [vocabulary, width].
  virtual std::string embedding_name() const = 0;
  // Positions of a row that the model was trained for; 0: it knows distances only.
  virtual std::int64_t max_positions() const { return 0; }
  // Share of activations that the model is usually trained with dropped.
  virtual double usual_dropout() const { return 0.0; }
  // Sizes and variants for people, some lines of text.
  virtual std::string summary() const = 0;

  // All weights by logical name, float32 or bfloat16.
  virtual const TensorSource& weights() const = 0;
  virtual const TokenizerFile& tokenizer() const = 0;

  // The layers in order with what each costs when frozen weights are trained through: stages are cut between
  // them.
  virtual std::vector<CostUnit> cost_units(const RowLengths& lengths) const = 0;
  // Bytes of a rank that runs these units.
  virtual StageBytes planned_bytes(const UnitRange& units, const MemoryPlan& plan) const = 0;
  // Reads the slabs of this rank. Throws ConfigError when the mesh cannot cut the model, and what the
  // weights' reader throws.
  virtual std::unique_ptr<ModelStage> make_stage(World& world, const StageOptions& options) const = 0;

  // From now on weights() are those of `wrap(weights so far)`, which have the same names and shapes.
  using WeightWrapper = std::function<std::unique_ptr<TensorSource>(std::unique_ptr<TensorSource>)>;
  virtual void wrap_weights(const WeightWrapper& wrap) = 0;
  // Writes one .h5 of ours, in full or not at all.
  virtual void save(const std::string& path, DType type) const = 0;
  // Writes a folder of Hugging Face's form.
  virtual void export_hf(const std::string& folder) const = 0;
};

struct ModelFamily {
  std::vector<std::string> model_types;  // of Hugging Face's config.json that are of this family
  std::string attribute;                 // marks an .h5 of ours
  // Throws ConfigError for what the family does not run, Error for files that are not as they should be.
  std::function<std::unique_ptr<BaseModel>(const std::string& path)> open;
};

// One line a family.
const Registry<ModelFamily>& family_registry();

// The family of a Hugging Face folder, an .h5 of ours or a GGUF file. Throws ConfigError when there is none.
std::string family_of(const std::string& path);

// `family` empty: the one that the files name.
std::unique_ptr<BaseModel> open_model(const std::string& path, const std::string& family = "");

}  // namespace trimtab
