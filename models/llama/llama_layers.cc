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

std::vector<std::string> qkv_names(const std::string& prefix, const char* what) {
  std::vector<std::string> names;
  for (const char* map : {"q_proj.", "k_proj.", "v_proj."})
    names.push_back(prefix + "self_attn." + map + what);
  return names;
}

at::Tensor head_norm(const std::string& name, const LlamaConfig& config, WeightLoader& loader) {
  return config.qk_norm ? loader.whole(name, DType::kFloat32) : at::Tensor();
}

// Each head's columns through the norm: [t, heads w].
at::Tensor normed_heads(const at::Tensor& x, const at::Tensor& weight_w, double epsilon) {
  return rms_norm(x.reshape({-1, weight_w.size(0)}), weight_w, epsilon).view_as(x);
}

}  // namespace

LlamaAttention::LlamaAttention(const std::string& prefix, const LlamaConfig& config, WeightLoader& loader,
                               Communicator& tensor_ranks)
    : norm(loader.whole(prefix + "input_layernorm.weight", DType::kFloat32)),
      qkv(loader.row_shares(qkv_names(prefix, "weight")), tensor_ranks,
          config.qkv_bias ? loader.row_shares(qkv_names(prefix, "bias")) : at::Tensor()),
      o(loader.column_share(prefix + "self_attn.o_proj.weight"), tensor_ranks),
      q_norm(head_norm(prefix + "self_attn.q_norm.weight", config, loader)),
      k_norm(head_norm(prefix + "self_attn.k_norm.weight", config, loader)),
      heads{config.heads / tensor_ranks.size(), config.kv_heads / tensor_ranks.size(),
            1.0 / std::sqrt(static_cast<double>(config.head_dim))},
      epsilon(config.norm_epsilon),
      tensor(&tensor_ranks) {}

at::Tensor LlamaAttention::project(const at::Tensor& x_td) const {
  const at::Tensor all = qkv(rms_norm(x_td, norm, epsilon));
  if (!q_norm.defined()) return all;
  const std::int64_t w = q_norm.size(0), q = heads.queries * w, k = heads.keys * w;
  // Where these norms are trained, each rank's heads give a part of their gradient.
  return at::cat({normed_heads(all.narrow(1, 0, q), enter_tensor_region(q_norm, *tensor), epsilon),
                  normed_heads(all.narrow(1, q, k), enter_tensor_region(k_norm, *tensor), epsilon),
                  all.narrow(1, q + k, k)},
                 1);
}

LlamaFeedForward::LlamaFeedForward(const std::string& prefix, const LlamaConfig& config, WeightLoader& loader,
                                   Communicator& tensor)
    : norm(loader.whole(prefix + "post_attention_layernorm.weight", DType::kFloat32)),
      gate_up(loader.row_shares({prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight"}), tensor),
      down(loader.column_share(prefix + "mlp.down_proj.weight"), tensor),
      epsilon(config.norm_epsilon) {}

at::Tensor LlamaFeedForward::operator()(const at::Tensor& x_td) const {
  const RowLayout one_row({x_td.size(0)});
  return down(gated_silu(gate_up(rms_norm(x_td, norm, epsilon)), {}, one_row));
}

LlamaLayer load_llama_layer(std::int64_t layer, const LlamaConfig& config, WeightLoader& loader,
                            Communicator& tensor) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  return {LlamaAttention(prefix, config, loader, tensor), LlamaFeedForward(prefix, config, loader, tensor)};
}

}  // namespace trimtab
