// SPDX-License-Identifier: Apache-2.0
//
// The layers of T5 as plain structs over tensors. Pre-norm, no biases, attention not scaled by 1/sqrt(d_kv),
// dropout broadcast along the length of a row (flaxformer's t5_architecture). Shapes: t = tokens (of the
// residual stream x_td: own tokens of a TokenSplit), d =
// d_model, i = this rank's heads * d_kv, f = this rank's share of d_ff, h = this rank's heads, r = rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/model.h"
#include "models/ops/self_attention.h"
#include "models/prefix_rows.h"
#include "models/t5/t5_config.h"
#include "models/weight_loader.h"
#include "parallel/linear.h"
#include "parallel/row_layout.h"
#include "parallel/token_split.h"

namespace trimtab {

// What layers need of one pass beside activations: which rows they are, and the dropout masks, each a pure
// function of (seed, step, sample, site). Undefined masks mean none.
class T5Pass {
 public:
  // `tensor` says which share of heads and columns this rank holds. All must outlive the pass.
  T5Pass(const ForwardContext& context, const MicroBatch& batch, const T5Config& config,
         Communicator& tensor);

  const std::vector<std::int32_t>& lanes() const { return batch_.lanes; }
  // For what is attached to linear maps.
  AdapterPass rows(const RowLayout& layout) const;

  // [rows, d_model], the same on every tensor rank.
  at::Tensor residual(std::int64_t site) const;
  // [rows, f]: this rank's columns.
  at::Tensor feed_forward(std::int64_t site) const;
  // [tokens, h]: this rank's heads; one number for each key, shared by all queries.
  at::Tensor keys(std::int64_t site, const RowLayout& layout) const;

 private:
  const ForwardContext& context_;
  const MicroBatch& batch_;
  const T5Config& config_;
  const Communicator& tensor_;
  bool on_;
};

struct T5FeedForward {
  T5FeedForward(const std::string& prefix, const T5Config& config, WeightLoader& loader,
                Communicator& tensor);
  // [t, d] -> [t, d]: dropout(x + wo(act(wi(norm(x)))))
  at::Tensor operator()(const at::Tensor& x_td, const TokenSplit& tokens, const T5Pass& pass,
                        std::int64_t site) const;

  at::Tensor norm;
  ColumnParallelLinear wi;  // [2f, d] gated (wi_0 over wi_1), else [f, d]
  RowParallelLinear wo;     // [d, f]
  double epsilon;
  bool gated;
};

struct T5SelfAttention {
  T5SelfAttention(const std::string& name, const T5Config& config, WeightLoader& loader,
                  Communicator& tensor);
  at::Tensor operator()(const at::Tensor& x_td, const at::Tensor& bias_table, const RelativeBias& bias,
                        const TokenSplit& tokens, const T5Pass& pass, std::int64_t site) const;

  at::Tensor norm;
  ColumnParallelLinear qkv;  // [3i, d]
  RowParallelLinear o;       // [d, i]
  double epsilon;
  std::int64_t heads;                       // of this rank
  const KeyValueAdapter* prefix = nullptr;  // in front of each row, or none
};

struct T5CrossAttention {
  T5CrossAttention(const std::string& name, const T5Config& config, WeightLoader& loader,
                   Communicator& tensor);
  // `encoder_td` has entered the tensor region already, once for all layers of the stage.
  at::Tensor operator()(const at::Tensor& x_td, const at::Tensor& encoder_td, const TokenSplit& decoder,
                        const RowLayout& encoder, const T5Pass& pass, std::int64_t site) const;
  // Of the encoder's rows, with everything attached.
  KeysAndValues keys_and_values(const at::Tensor& encoder_td, const RowLayout& encoder,
                                const T5Pass& pass) const;

  at::Tensor norm;
  ColumnParallelLinear q;   // [i, d]
  ColumnParallelLinear kv;  // [2i, d]: keys over values
  RowParallelLinear o;      // [d, i]
  double epsilon;
  std::int64_t heads;                       // of this rank
  const KeyValueAdapter* prefix = nullptr;  // in front of each encoder row, or none

 private:
  at::Tensor attend(const at::Tensor& q_ti, const at::Tensor& encoder_td, const RowLayout& decoder,
                    const RowLayout& encoder, const T5Pass& pass, std::int64_t site) const;
};

struct T5EncoderLayer {
  T5SelfAttention attention;
  T5FeedForward feed_forward;
};

struct T5DecoderLayer {
  T5SelfAttention attention;
  T5CrossAttention cross;
  T5FeedForward feed_forward;
};

T5EncoderLayer load_encoder_layer(std::int64_t layer, const T5Config&, WeightLoader&, Communicator& tensor);
// The maps and attentions of the whole model by name, in order of the layers.
std::vector<std::string> t5_linear_modules(const T5Config& config);
std::vector<std::string> t5_attention_modules(const T5Config& config);

T5DecoderLayer load_decoder_layer(std::int64_t layer, const T5Config&, WeightLoader&, Communicator& tensor);

// Where in the model a dropout mask is used; distinct for every use, and the same whatever the cut into
// stages.
std::int64_t encoder_site(std::int64_t layer, std::int64_t use);
std::int64_t decoder_site(std::int64_t layer, std::int64_t use);

}  // namespace trimtab
