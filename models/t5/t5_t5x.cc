// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_t5x.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "models/formats/json_fields.h"
#include "models/formats/slab_copy.h"
#include "models/formats/weight_files.h"
#include "runtime/check.h"
#include "runtime/dtype.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

constexpr const char* kTable = "token_embedder.embedding";
constexpr const char* kHead = "decoder.logits_dense.kernel";
// What the paper's code trains, in checkpoints of its own.
constexpr const char* kPrompt = "encoder.prompt.prompt.prompt";

// The part of a layer's name behind "layer.", in the order of the layer: what T5X calls it.
struct Part {
  const char* ours;
  const char* theirs;
  bool swapped;
};
constexpr Part kEncoder[] = {
    {"0.SelfAttention.q.weight", "attention.query.kernel", true},
    {"0.SelfAttention.k.weight", "attention.key.kernel", true},
    {"0.SelfAttention.v.weight", "attention.value.kernel", true},
    {"0.SelfAttention.o.weight", "attention.out.kernel", true},
    {"0.layer_norm.weight", "pre_attention_layer_norm.scale", false},
    {"1.DenseReluDense.wi.weight", "mlp.wi.kernel", true},
    {"1.DenseReluDense.wi_0.weight", "mlp.wi_0.kernel", true},
    {"1.DenseReluDense.wi_1.weight", "mlp.wi_1.kernel", true},
    {"1.DenseReluDense.wo.weight", "mlp.wo.kernel", true},
    {"1.layer_norm.weight", "pre_mlp_layer_norm.scale", false},
};
constexpr Part kDecoder[] = {
    {"0.SelfAttention.q.weight", "self_attention.query.kernel", true},
    {"0.SelfAttention.k.weight", "self_attention.key.kernel", true},
    {"0.SelfAttention.v.weight", "self_attention.value.kernel", true},
    {"0.SelfAttention.o.weight", "self_attention.out.kernel", true},
    {"0.layer_norm.weight", "pre_self_attention_layer_norm.scale", false},
    {"1.EncDecAttention.q.weight", "encoder_decoder_attention.query.kernel", true},
    {"1.EncDecAttention.k.weight", "encoder_decoder_attention.key.kernel", true},
    {"1.EncDecAttention.v.weight", "encoder_decoder_attention.value.kernel", true},
    {"1.EncDecAttention.o.weight", "encoder_decoder_attention.out.kernel", true},
    {"1.layer_norm.weight", "pre_cross_attention_layer_norm.scale", false},
    {"2.DenseReluDense.wi.weight", "mlp.wi.kernel", true},
    {"2.DenseReluDense.wi_0.weight", "mlp.wi_0.kernel", true},
    {"2.DenseReluDense.wi_1.weight", "mlp.wi_1.kernel", true},
    {"2.DenseReluDense.wo.weight", "mlp.wo.kernel", true},
    {"2.layer_norm.weight", "pre_mlp_layer_norm.scale", false},
};

std::int64_t layers_of(const T5xCheckpoint& checkpoint, const std::string& stack, const char* attention) {
  std::int64_t layers = 0;
  while (checkpoint.has(fmt::format("{}.layers_{}.{}.query.kernel", stack, layers, attention))) ++layers;
  if (layers == 0)
    fail_config(
        "{}: there is no {}.layers_0.{}.query.kernel: only T5s whose layers are stored one by one are read "
        "(with scan_layers: false)",
        checkpoint.path(), stack, attention);
  return layers;
}

Shape matrix_shape(const T5xCheckpoint& checkpoint, const std::string& name) {
  const Shape& shape = checkpoint.shape(name);
  if (shape.size() != 2) fail_config("{}: {} has {} dims, not two", checkpoint.path(), name, shape.size());
  return shape;
}

class T5xWeights final : public TensorSource {
 public:
  T5xWeights(std::unique_ptr<T5xCheckpoint> checkpoint, const T5Config& config)
      : checkpoint_(std::move(checkpoint)) {
    for (const WeightShape& weight : t5_weights(config)) {
      const T5xName stored = t5x_name(weight.name);
      if (!checkpoint_->has(stored.name)) continue;
      Shape shape = checkpoint_->shape(stored.name);
      if (stored.swapped) std::ranges::reverse(shape);
      weights_.emplace(weight.name, Weight{stored, std::move(shape)});
      used_.push_back(stored.name);
    }
  }

  const std::string& path() const override { return checkpoint_->path(); }
  // Also what the checkpoint has beyond the model, by its own name, so that check_weights() finds it.
  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, unused] : weights_) out.push_back(name);
    for (const std::string& name : checkpoint_->names())
      if (name != kPrompt && std::ranges::count(used_, name) == 0) out.push_back(name);
    std::ranges::sort(out);
    return out;
  }
  bool has(const std::string& name) const override { return weights_.contains(name); }
  TensorInfo info(const std::string& name) const override { return {DType::kFloat32, find(name).shape}; }

  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    const Weight& weight = find(name);
    const std::string where = fmt::format("{}: {}", path(), name);
    if (!is_weight_type(type)) fail("{}: float32 cannot be read as {}", where, name_of(type));
    const std::lock_guard lock(mutex_);
    if (last_name_ != name) {
      last_name_.clear();
      last_ = checkpoint_->values(weight.stored.name);
      if (weight.stored.swapped) swap_dims(weight.shape);
      last_name_ = name;
    }
    auto* place = static_cast<std::byte*>(out);
    for_each_run(weight.shape, slab, where, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t i = first; i < first + count; ++i) {
        const float value = last_[static_cast<std::size_t>(i)];
        if (type == DType::kFloat32)
          *reinterpret_cast<float*>(place) = value;
        else
          *reinterpret_cast<std::uint16_t*>(place) = float_to_bfloat16(value);
        place += size_of(type);
      }
    });
  }

 private:
  struct Weight {
    T5xName stored;
    Shape shape;  // here
  };

  const Weight& find(const std::string& name) const {
    const auto found = weights_.find(name);
    if (found == weights_.end()) fail("{}: no weight '{}'{}", path(), name, did_you_mean(name, names()));
    return found->second;
  }

  void swap_dims(const Shape& shape) const {
    const std::int64_t rows = shape[0], columns = shape[1];
    std::vector<float> out(last_.size());
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c)
        out[static_cast<std::size_t>(r * columns + c)] = last_[static_cast<std::size_t>(c * rows + r)];
    last_ = std::move(out);
  }

  std::unique_ptr<T5xCheckpoint> checkpoint_;
  std::map<std::string, Weight> weights_;
  std::vector<std::string> used_;
  mutable std::mutex mutex_;
  mutable std::string last_name_;
  mutable std::vector<float> last_;
};

}  // namespace

T5xName t5x_name(const std::string& weight) {
  if (weight == "shared.weight") return {kTable, false};
  if (weight == "lm_head.weight") return {kHead, true};
  const bool encoder = weight.starts_with("encoder.");
  const std::string stack = encoder ? "encoder" : "decoder";
  if (weight.ends_with(".final_layer_norm.weight")) return {stack + "." + stack + "_norm.scale", false};
  if (weight.ends_with(".relative_attention_bias.weight"))
    return {stack + ".relpos_bias.rel_embedding", true};
  // "<stack>.block.<i>.layer.<part>"
  const std::size_t index = stack.size() + std::string_view(".block.").size();
  const std::size_t dot = weight.find('.', index);
  const std::string layer = weight.substr(index, dot - index);
  const std::string part = weight.substr(dot + std::string_view(".layer.").size());
  const auto search = [&](const auto& parts) -> T5xName {
    for (const Part& known : parts)
      if (part == known.ours)
        return {fmt::format("{}.layers_{}.{}", stack, layer, known.theirs), known.swapped};
    TT_CHECK(false, "no weight of a T5: {}", weight);
    return {};
  };
  return encoder ? search(kEncoder) : search(kDecoder);
}

T5Config t5_config_of(const T5xCheckpoint& checkpoint) {
  T5Config config;
  config.encoder_layers = layers_of(checkpoint, "encoder", "attention");
  config.decoder_layers = layers_of(checkpoint, "decoder", "self_attention");
  const Shape table = matrix_shape(checkpoint, kTable);
  config.vocab = table[0];
  config.d_model = table[1];
  config.gated_gelu = checkpoint.has("encoder.layers_0.mlp.wi_0.kernel");
  config.d_ff = matrix_shape(checkpoint, "encoder.layers_0.mlp.wo.kernel")[0];
  const Shape bias = matrix_shape(checkpoint, "encoder.relpos_bias.rel_embedding");
  config.heads = bias[0];
  config.buckets = bias[1];
  const std::int64_t inner = matrix_shape(checkpoint, "encoder.layers_0.attention.query.kernel")[1];
  if (config.heads < 1 || inner % config.heads != 0)
    fail_config("{}: {} columns of queries are not whole heads of {}", checkpoint.path(), inner,
                config.heads);
  config.d_kv = inner / config.heads;
  config.tied_head = !checkpoint.has(kHead);
  config.scale_decoder_output = config.tied_head;
  check_with_place(config, checkpoint.path());
  return config;
}

std::unique_ptr<TensorSource> t5x_weights(std::unique_ptr<T5xCheckpoint> checkpoint, const T5Config& config) {
  return std::make_unique<T5xWeights>(std::move(checkpoint), config);
}

}  // namespace trimtab
