// SPDX-License-Identifier: Apache-2.0
#include "bench/exported_case.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/formats/safetensors.h"
#include "runtime/check.h"

namespace trimtab::bench {
namespace {

std::int64_t layers_of(const TensorSource& weights, const std::string& stack) {
  std::int64_t layers = 0;
  while (weights.has(fmt::format("{}.block.{}.layer.0.layer_norm.weight", stack, layers))) ++layers;
  return layers;
}

std::pair<std::int64_t, std::int64_t> width_of(const Batch& batch) {
  std::int64_t input = 0, target = 0;
  for (std::size_t row = 0; row < batch.rows(); ++row) {
    input = std::max(input, batch.input_length(row));
    target = std::max(target, batch.target_length(row));
  }
  return {input, target};
}

}  // namespace

T5Config config_of(const TensorSource& weights) {
  const std::string layer = "encoder.block.0.layer.";
  const bool gated = weights.has(layer + "1.DenseReluDense.wi_0.weight");
  const Shape embedding = weights.info("shared.weight").shape;
  const Shape query = weights.info(layer + "0.SelfAttention.q.weight").shape;
  const Shape bias = weights.info(layer + "0.SelfAttention.relative_attention_bias.weight").shape;
  const Shape inner =
      weights.info(layer + (gated ? "1.DenseReluDense.wi_0.weight" : "1.DenseReluDense.wi.weight")).shape;
  T5Config config;
  config.vocab = embedding.at(0);
  config.d_model = embedding.at(1);
  config.buckets = bias.at(0);
  config.heads = bias.at(1);
  config.d_kv = query.at(0) / config.heads;
  config.d_ff = inner.at(0);
  config.encoder_layers = layers_of(weights, "encoder");
  config.decoder_layers = layers_of(weights, "decoder");
  config.gated_gelu = gated;
  config.tied_head = !weights.has("lm_head.weight");
  config.scale_decoder_output = config.tied_head;
  return config;
}

at::Tensor read_prompt(const std::string& path, std::int64_t width) {
  const Safetensors file(path);
  const Shape shape = file.info("prompt").shape;
  if (shape.size() != 2 || shape[1] != width)
    fail("{}: the prompt has shape [{}], but the model is {} wide", path, fmt::join(shape, ", "), width);
  at::Tensor prompt = at::empty(shape, at::kFloat);
  file.read("prompt", {}, DType::kFloat32, prompt.data_ptr());
  return prompt;
}

std::vector<Batch> read_batches(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("{}: cannot be read; peft_baseline.py --export writes it", path);
  std::vector<Batch> batches;
  try {
    for (const nlohmann::json& rows : nlohmann::json::parse(file)) {
      Batch& batch = batches.emplace_back();
      for (const nlohmann::json& row : rows) {
        const std::size_t index = batch.rows();
        batch.append(row.at("input").get<std::vector<TokenId>>(),
                     row.at("target").get<std::vector<TokenId>>(), index, index);
      }
    }
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", path, error.what());
  }
  if (batches.empty()) fail("{}: no batch in it", path);
  return batches;
}

std::size_t widest(const std::vector<Batch>& batches) {
  const auto narrower = [](const Batch& a, const Batch& b) { return width_of(a) < width_of(b); };
  return static_cast<std::size_t>(std::ranges::max_element(batches, narrower) - batches.begin());
}

std::vector<Batch> cut_by_rows(const Batch& batch, std::size_t rows) {
  std::vector<Batch> parts;
  for (std::size_t row = 0; row < batch.rows(); ++row) {
    if (parts.empty() || (rows > 0 && parts.back().rows() == rows)) parts.emplace_back();
    parts.back().append(batch.input(row), batch.target(row), batch.samples[row], batch.examples[row]);
  }
  return parts;
}

double useful_gflop(const T5Config& config, const Batch& batch, std::int64_t extra, bool base_is_trained) {
  const auto d = static_cast<double>(config.d_model), inner = static_cast<double>(config.inner());
  const auto feed_forward = d * static_cast<double>((config.gated_gelu ? 3 : 2) * config.d_ff);
  const auto encoder = static_cast<double>(config.encoder_layers),
             decoder = static_cast<double>(config.decoder_layers);
  double linear = 0, attention = 0;
  for (std::size_t row = 0; row < batch.rows(); ++row) {
    const auto n = static_cast<double>(batch.input_length(row) + extra);
    const auto t = static_cast<double>(batch.target_length(row));
    linear += 2 * n * encoder * (4 * d * inner + feed_forward);
    linear += 2 * n * decoder * 2 * d * inner;  // keys and values of the cross-attention
    linear += 2 * t * decoder * (6 * d * inner + feed_forward);
    linear += 2 * t * d * static_cast<double>(config.vocab);
    attention += 4 * inner * (encoder * n * n + decoder * (t * t + t * n));
  }
  return (linear * (base_is_trained ? 3 : 2) + attention * 3) / 1e9;
}

}  // namespace trimtab::bench
