// SPDX-License-Identifier: Apache-2.0
//
// The recipe of a pretraining run: checked plain structs, read from YAML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pretraining.h"
#include "experiments/machine.h"
#include "experiments/optimizer_section.h"
#include "runtime/config.h"

namespace trimtab {

struct PretrainModel {
  std::string weights;
  std::string vocabulary;
  std::int64_t d_model = 512, d_kv = 64, d_ff = 1024, heads = 6;
  std::int64_t encoder_layers = 8, decoder_layers = 8;
  bool gated_gelu = true;
  bool tied_head = false;
  std::string compute = "float32";
  std::int64_t threads = 0;
};

struct PretrainData {
  std::string objective = "span_corruption";
  std::vector<CorpusOptions> corpora;
  std::int64_t input_length = 512;
  std::int64_t max_target = 0;
  double noise_density = 0.15;
  double mean_span = 3.0;
  std::int64_t validation_percent = 1;
  std::string cache;
};

struct PretrainTrain {
  std::int64_t steps = 10000;
  std::int64_t batch = 32;
  std::int64_t micro_batch_tokens = 8192;
  std::int64_t seed = 1;
  double dropout = 0.0;
  double z_loss = 1e-4;
  std::int64_t validate_every = 1000;
  std::int64_t validation_batches = 4;
  std::int64_t checkpoint_every = 500;
  std::int64_t log_every = 1;
  double log_seconds = 30.0;
};

struct PretrainExport {
  std::string path;
  std::string dtype = "float32";
  std::int64_t every = 0;
};

struct PretrainConfig {
  std::string name = "pretrain";
  std::string output;
  PretrainModel model;
  PretrainData data;
  PretrainTrain train;
  OptimizerSection optimizer;
  PretrainExport export_to;
  CoreHints core_hints;  // not of the file: launch/ fills it in
};

template <class V>
void describe(V& v, PretrainModel& s) {
  v.field("weights", s.weights,
          "Model to go on from (folder or .h5); empty: random weights of the shape below.");
  v.field("vocabulary", s.vocabulary, "SentencePiece model; empty: the one beside or in the weights.");
  v.field("d_model", s.d_model, "Width of the residual stream.", {.min = 1});
  v.field("d_kv", s.d_kv, "Width of one head.", {.min = 1});
  v.field("d_ff", s.d_ff, "Inner width of the feed-forward block.", {.min = 1});
  v.field("heads", s.heads, "Attention heads.", {.min = 1});
  v.field("encoder_layers", s.encoder_layers, "Layers of the encoder.", {.min = 1});
  v.field("decoder_layers", s.decoder_layers, "Layers of the decoder.", {.min = 1});
  v.field("gated_gelu", s.gated_gelu, "T5 1.1's feed-forward block; false: ReLU, as in T5 1.0.");
  v.field("tied_head", s.tied_head, "The output head is the embedding table, as in T5 1.0.");
  v.field("compute", s.compute, "Type of weights and activations.", {.choices = {"float32", "bfloat16"}});
  v.field("threads", s.threads, "Threads that compute; 0: OMP_NUM_THREADS, else all cores.",
          {.min = 0, .max = 1024});
}

template <class V>
void describe(V& v, PretrainData& s) {
  v.field("objective", s.objective, "What is learned from text.",
          {.choices = {"span_corruption", "prefix_lm"}});
  v.field("corpora", s.corpora, "The texts.", {.required = true, .min_size = 1});
  v.field("input_length", s.input_length,
          "Tokens of an input with end of sequence; prefix_lm: of the whole chunk.",
          {.min = 2, .max = 65536, .unit = "tokens"});
  v.field("max_target", s.max_target, "prefix_lm: longer targets are cut to this; 0: none.", {.min = 0});
  v.field("noise_density", s.noise_density, "span_corruption: share of the tokens that is hidden.",
          {.min = 0, .max = 1, .above_min = true});
  v.field("mean_span", s.mean_span, "span_corruption: mean length of a hidden span.",
          {.min = 1, .unit = "tokens"});
  v.field("validation_percent", s.validation_percent, "Of each corpus, from its end; 0: no validation.",
          {.min = 0, .max = 50, .unit = "percent"});
  v.field("cache", s.cache, "Folder for tokenised text; empty: the folder of each text.");
}

template <class V>
void describe(V& v, PretrainTrain& s) {
  v.field("steps", s.steps, "Steps of the run.", {.min = 1, .unit = "steps"});
  v.field("batch", s.batch, "Rows of a step.", {.min = 1, .max = 1 << 20, .unit = "rows"});
  v.field("micro_batch_tokens", s.micro_batch_tokens, "Most tokens, inputs and targets, computed at once.",
          {.min = 1, .unit = "tokens"});
  v.field("seed", s.seed, "Of random weights, data order, noise and dropout.", {.min = 0});
  v.field("dropout", s.dropout, "T5 1.1 was pretrained without.", {.min = 0, .max = 0.9});
  v.field("z_loss", s.z_loss, "Weight of log(Z)^2.", {.min = 0});
  v.field("validate_every", s.validate_every, "Steps between losses on held-out text; 0: at the end.",
          {.min = 0, .unit = "steps"});
  v.field("validation_batches", s.validation_batches, "Batches of held-out text.", {.min = 1});
  v.field("checkpoint_every", s.checkpoint_every, "Steps between checkpoints.", {.min = 1, .unit = "steps"});
  v.field("log_every", s.log_every, "Steps between lines of metrics.jsonl.", {.min = 1, .unit = "steps"});
  v.field("log_seconds", s.log_seconds, "Between progress lines when not on a terminal.",
          {.min = 0, .unit = "seconds"});
}

template <class V>
void describe(V& v, PretrainExport& s) {
  v.field("path", s.path, "File of the trained model; empty: model.h5 in the output folder.");
  v.field("dtype", s.dtype, "Type of its weights.", {.choices = {"float32", "bfloat16"}});
  v.field("every", s.every, "Steps between models kept on the way, model-STEP.h5 beside the last; 0: none.",
          {.min = 0, .unit = "steps"});
}

template <class V>
void describe(V& v, PretrainConfig& s) {
  v.field("name", s.name, "Name of the run.", {.min_size = 1});
  v.field("output", s.output, "Run folder.", {.required = true, .min_size = 1});
  v.field("model", s.model, "The model.");
  v.field("data", s.data, "The text.");
  v.field("train", s.train, "The loop.");
  v.field("optimizer", s.optimizer, "The optimizer.");
  v.field("export", s.export_to, "The file that the model ends in.");
}

}  // namespace trimtab
