// SPDX-License-Identifier: Apache-2.0
//
// What every model family offers to the rest of the program: a stage (the part of the model that this rank
// runs), and the sites at which a tuning method can attach something trainable. The base weights of a stage
// never require a gradient unless `trainable_base()` was called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parallel/greedy_rows.h"
#include "parallel/linear.h"
#include "parallel/micro_batch.h"
#include "parallel/parameter.h"
#include "parallel/pipeline_stage.h"
#include "runtime/communicator.h"

namespace trimtab {

// What a forward pass depends on beside weights and rows. Dropout masks are a pure function of (seed, step,
// sample, site).
struct ForwardContext {
  bool training = false;
  double dropout = 0.0;  // used only when training
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  // Sees every layer's output by name ("encoder.layer.3") and where its rows lie: for parity tests and for
  // finding the first NaN.
  std::function<void(const std::string& name, const at::Tensor& x_td, const RowLayout& rows)> observe;
};

// Where rows of an input adapter go in each row of text: behind the first `tokens` of its input or, with
// `from_end`, in front of the last `tokens` of it.
struct PromptPlace {
  std::int64_t rows = -1;  // -1: an even share of those that no place names
  bool from_end = false;
  std::int64_t tokens = 0;
};

// Rows that are put into the embedded input of every row of a lane.
class InputAdapter {
 public:
  virtual ~InputAdapter() = default;
  // In the order in which they stand in a row: in front of everything, unless a method knows other places.
  virtual std::vector<PromptPlace> places() const { return {{}}; }
  // Positions in each row of `lane`; known on every stage, since layouts depend on it.
  virtual std::int64_t positions(std::int32_t lane) const = 0;
  // float32 [positions(lane), d_model], with gradient while training.
  virtual at::Tensor rows(std::int32_t lane) const = 0;
};

// Keys and values that stand in front of those of each row in one attention (Li and Liang 2021).
class KeyValueAdapter {
 public:
  virtual ~KeyValueAdapter() = default;
  // Positions in front of each row of `lane`; a row's own first token stands behind the last of them, for
  // relative and for rotary positions.
  virtual std::int64_t positions(std::int32_t lane) const = 0;
  // float32 [positions(lane), width of the site], as the attention's projections would make them: keys are
  // not turned to their positions yet.
  virtual at::Tensor keys(std::int32_t lane) const = 0;
  virtual at::Tensor values(std::int32_t lane) const = 0;
};

// A linear map of this stage to which an adapter can be attached. Maps of the same input are one
// multiplication and one site.
struct LinearSite {
  struct Part {
    std::string module;              // "encoder.block.0.layer.0.SelfAttention.q"
    std::int64_t row = 0, rows = 0;  // its outputs among those of the site, on this rank
    Cut cut{};                       // of its matrix [out, in]
  };
  std::vector<Part> parts;
  int cut = 0;  // 0: tensor ranks share the outputs of each part, 1: the inputs
  LinearShare* map = nullptr;
};

// An attention of this stage.
struct KeyValueSite {
  std::string module;      // "encoder.block.0.layer.0.SelfAttention"
  std::int64_t width = 0;  // of a token's keys, and of its values, on this rank
  Cut cut{};               // of the rows of the matrices that make them
  const KeyValueAdapter** slot = nullptr;

  void attach(const KeyValueAdapter* adapter) const { *slot = adapter; }
};

class ModelStage {
 public:
  virtual ~ModelStage() = default;

  virtual std::int64_t width() const = 0;       // d_model
  virtual std::int64_t vocabulary() const = 0;  // rows of the embedding table
  virtual std::int64_t pad_id() const = 0;
  virtual std::int64_t eos_id() const = 0;
  // Parameters of the whole model (not of the stage) and of the stage.
  virtual std::int64_t parameter_count() const = 0;

  // Runs this stage's layers. The first stage ignores `in` and embeds the ids of `batch`.
  virtual StageIO forward(StageIO in, const MicroBatch& batch, const ForwardContext& context) = 0;
  // Last stage only: this tensor rank's share of the vocabulary, float32 [target tokens, its rows].
  virtual at::Tensor logits(const StageIO& out) = 0;
  // Last stage only.
  virtual LossSums loss(const StageIO& out, const MicroBatch& batch, double z_loss) = 0;
  // What forward() receives from the stage before. Depends on the input adapters, which are attached to every
  // stage for that reason.
  virtual StageShape receive_shape(const MicroBatch& batch) const = 0;
  // This stage embeds the input, so that the rows of an input adapter are used here: the first stage.
  virtual bool embeds_input() const = 0;
  // The same for the decoder's input.
  virtual bool embeds_decoder_input() const { return false; }
  // This stage has layers that run once for every decoded token, so that prefill() gives a decoder.
  virtual bool decodes() const = 0;
  // What prefill() receives from the stage before.
  virtual StageShape prefill_shape(const MicroBatch& batch) const = 0;
  // This stage's part of what comes before the first decoded token, without dropout and autograd, and the
  // caches for decoding of the rows, at most `max_tokens` steps. `batch` needs only its encoder part,
  // lanes and samples.
  virtual Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) = 0;

  // Greedy decoding of a whole batch at once where this stage is the whole model: for each row the ids up to
  // and without the end of sequence, at most `max_tokens`. Pipeline::generate does it over several stages.
  TokenRows generate(const MicroBatch& batch, std::int64_t max_tokens);

  // Rows of the embedding table, float32 [ids.size(), d_model], detached.
  virtual at::Tensor embeddings(const std::vector<std::int64_t>& ids) const = 0;

  // Sites. An adapter must outlive the stage or be detached with nullptr.
  virtual void attach_input(InputAdapter* adapter) = 0;
  // Rows in front of the decoder's input, of an encoder-decoder only: false where the model has no such site.
  virtual bool attach_decoder_input(InputAdapter* /*adapter*/) { return false; }
  virtual std::vector<LinearSite> linear_sites() = 0;
  virtual std::vector<KeyValueSite> key_value_sites() = 0;
  // Names of the maps and attentions of the whole model, whatever stage they are on.
  virtual std::vector<std::string> linear_modules() const = 0;
  virtual std::vector<std::string> attention_modules() const = 0;
  // Where its weights are, and what is trained beside them.
  virtual at::Device device() const = 0;
  // The ranks that share this stage's maps and heads.
  virtual Communicator& tensor_ranks() = 0;
  // Model tuning: makes every base weight of this stage trainable and returns them by logical name.
  virtual Parameters trainable_base() = 0;

  // Every base weight of this stage by logical name (value only), for hashing, saving and counting.
  struct NamedTensor {
    std::string name;
    at::Tensor value;
  };
  virtual std::vector<NamedTensor> base_weights() const = 0;
};

}  // namespace trimtab
