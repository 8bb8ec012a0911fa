// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_layers.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "models/ops/feed_forward.h"
#include "models/ops/rms_norm.h"
#include "parallel/collectives.h"

namespace trimtab {
namespace {

// Columns of the heads of queries that share a head of keys and values: they stay together.
std::int64_t group_width(const LlamaConfig& config) {
  return config.heads / config.kv_heads * config.head_dim;
}

std::vector<WeightLoader::Rows> qkv_rows(const std::string& prefix, const LlamaConfig& config,
                                         const char* what) {
  const std::string attention = prefix + "self_attn.";
  return {{attention + "q_proj." + what, group_width(config)},
          {attention + "k_proj." + what, config.head_dim},
          {attention + "v_proj." + what, config.head_dim}};
}

AttentionHeads own_heads(const LlamaConfig& config, const Communicator& tensor) {
  const LlamaConfig own = rank_share(config, tensor.rank(), tensor.size());
  return {own.heads, own.kv_heads, 1.0 / std::sqrt(static_cast<double>(config.head_dim))};
}

at::Tensor head_norm(const std::string& name, const LlamaConfig& config, WeightLoader& loader) {
  return config.qk_norm ? loader.whole(name, DType::kFloat32) : at::Tensor();
}

// Each head's columns through the norm: [t, heads w].
at::Tensor normed_heads(const at::Tensor& x, const at::Tensor& weight_w, double epsilon) {
  return rms_norm(x.reshape({-1, weight_w.size(0)}), weight_w, epsilon).view_as(x);
}

}  // namespace

LlamaAttention::LlamaAttention(const std::string& name, const LlamaConfig& config, WeightLoader& loader,
                               Communicator& tensor_ranks)
    : norm(loader.whole(name + "input_layernorm.weight", DType::kFloat32)),
      qkv(loader.row_shares(qkv_rows(name, config, "weight")), tensor_ranks,
          config.qkv_bias ? loader.row_shares(qkv_rows(name, config, "bias")) : at::Tensor()),
      o(loader.column_share(name + "self_attn.o_proj.weight", group_width(config)), tensor_ranks),
      q_norm(head_norm(name + "self_attn.q_norm.weight", config, loader)),
      k_norm(head_norm(name + "self_attn.k_norm.weight", config, loader)),
      heads(own_heads(config, tensor_ranks)),
      epsilon(config.norm_epsilon),
      tensor(&tensor_ranks) {}

at::Tensor LlamaAttention::project(const at::Tensor& x_td, const TokenSplit& tokens,
                                   const AdapterPass* pass) const {
  const at::Tensor all = qkv.of_entered(tokens.enter(rms_norm(x_td, tokens.weight(norm), epsilon)), pass);
  if (!q_norm.defined()) return all;
  const std::int64_t w = q_norm.size(0), q = heads.queries * w, k = heads.keys * w;
  // Where these norms are trained, each rank's heads give a part of their gradient.
  return at::cat({normed_heads(all.narrow(1, 0, q), enter_tensor_region(q_norm, *tensor), epsilon),
                  normed_heads(all.narrow(1, q, k), enter_tensor_region(k_norm, *tensor), epsilon),
                  all.narrow(1, q + k, k)},
                 1);
}

LlamaFeedForward::LlamaFeedForward(const std::string& prefix, const LlamaConfig& config, WeightLoader& loader,
                                   Communicator& tensor_ranks)
    : norm(loader.whole(prefix + "post_attention_layernorm.weight", DType::kFloat32)),
      gate_up(loader.row_shares({{prefix + "mlp.gate_proj.weight"}, {prefix + "mlp.up_proj.weight"}}),
              tensor_ranks),
      down(loader.column_share(prefix + "mlp.down_proj.weight"), tensor_ranks),
      epsilon(config.norm_epsilon),
      tensor(&tensor_ranks) {}

at::Tensor LlamaFeedForward::operator()(const at::Tensor& x_td, const TokenSplit& tokens,
                                        const AdapterPass* pass) const {
  const at::Tensor normed = tokens.enter(rms_norm(x_td, tokens.weight(norm), epsilon));
  const at::Tensor active = gated_silu(gate_up.of_entered(normed, pass), {}, tokens.layout());
  return tokens.leave(down.part_of(active, pass));
}

LlamaLayer load_llama_layer(std::int64_t layer, const LlamaConfig& config, WeightLoader& loader,
                            Communicator& tensor) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  return {LlamaAttention(prefix, config, loader, tensor), LlamaFeedForward(prefix, config, loader, tensor)};
}

std::vector<std::string> llama_linear_modules(const LlamaConfig& config) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < config.layers; ++i)
    for (const char* map : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                            "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
      all.push_back(fmt::format("model.layers.{}.{}", i, map));
  if (!config.tied_head) all.emplace_back("lm_head");
  return all;
}

std::vector<std::string> llama_attention_modules(const LlamaConfig& config) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < config.layers; ++i) all.push_back(fmt::format("model.layers.{}.self_attn", i));
  return all;
}

}  // namespace trimtab
