// SPDX-License-Identifier: Apache-2.0
//
// The whole run as checked plain structs, read from YAML. The defaults are the recipe of Lester et al. 2021,
// section 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/machine.h"
#include "experiments/optimizer_section.h"
#include "runtime/config.h"
#include "runtime/mesh.h"

namespace trimtab {

struct MeshConfig {
  std::int64_t data = 1, pipe = 1, tensor = 1;
  bool sequence_parallel = false;
  std::string schedule = "1f1b";
  double late = 30.0;
  double timeout = 1800.0;
  double startup_timeout = 7200.0;

  bool operator==(const MeshConfig&) const = default;
};

struct ModelConfig {
  std::string family;
  std::string weights;
  std::string vocabulary;
  std::string compute = "float32";
  std::string device = "cpu";
  std::int64_t threads = 0;

  bool operator==(const ModelConfig&) const = default;
};

struct TextConfig {
  std::string input_template = "{input}";
  std::string prompt_place = "first";
  std::int64_t shots = 0;
  std::string shot = "{input} {target}\n";
  std::int64_t max_input = 512;
  std::int64_t max_target = 8;
  bool target_sentinel = false;
  std::int64_t train_rows = 0;
  std::int64_t dev_rows = 0;
  std::string cache;
};

struct TrainConfig {
  std::int64_t steps = 30000;
  std::int64_t batch = 32;
  std::int64_t micro_batch_tokens = 16384;
  std::int64_t seed = 1;
  std::optional<double> dropout;
  double z_loss = 1e-4;
  std::int64_t evaluate_every = 1000;
  std::int64_t checkpoint_every = 1000;
  std::string journal = "auto";
  std::int64_t patience = 0;
  std::int64_t compare_every = 100;
  std::int64_t log_every = 1;
  double log_seconds = 30.0;
};

// A task that is scored and never trained on.
struct TransferConfig {
  std::string name;
  std::string split = "validation";
  Subtree task;
};

struct EvaluateConfig {
  std::string split = "validation";
  std::string answers = "generate";
  std::int64_t max_examples = 0;
  std::int64_t batch_tokens = 16384;
  std::vector<TransferConfig> transfer;
};

struct ExperimentConfig {
  std::string name = "experiment";
  std::string output;
  std::vector<std::string> labels;
  MeshConfig mesh;
  ModelConfig model;
  Subtree method{"prompt_tuning"};
  Subtree task;
  TextConfig text;
  TrainConfig train;
  OptimizerSection optimizer;
  EvaluateConfig evaluate;
  CoreHints core_hints;  // not of the file: launch/ fills it in
};

template <class V>
void describe(V& v, MeshConfig& s) {
  v.field("data", s.data, "Replicas of the model, each with its own rows.",
          {.min = 1, .max = 1 << 16, .unit = "ranks"});
  v.field("pipe", s.pipe, "Stages that the layers are cut into.",
          {.min = 1, .max = 1 << 16, .unit = "ranks"});
  v.field("schedule", s.schedule, "Order of micro-batches in a pipeline: 1f1b keeps the fewest in memory.",
          {.choices = {"1f1b", "gpipe"}});
  v.field("tensor", s.tensor, "Ranks that share each layer, by whole heads: evenly or not.",
          {.min = 1, .max = 1 << 16, .unit = "ranks"});
  v.field(
      "sequence_parallel", s.sequence_parallel,
      "Tensor ranks share the tokens between layers, too, instead of holding all of them; no effect on one "
      "tensor rank.");
  v.field("late", s.late, "Ranks that are waited for longer are named in the log.",
          {.min = 1, .unit = "seconds"});
  v.field("timeout", s.timeout, "A rank that is waited for longer ends the job; 0: never.",
          {.min = 0, .unit = "seconds"});
  v.field("startup_timeout", s.startup_timeout, "The same before the first step.",
          {.min = 0, .unit = "seconds"});
}

template <class V>
void describe(V& v, ModelConfig& s) {
  v.field("family", s.family, "Kind of model; empty: the one that its files name.");
  v.field("weights", s.weights, "Folder of a Hugging Face model, or an .h5 of ours.",
          {.required = true, .min_size = 1});
  v.field("vocabulary", s.vocabulary, "SentencePiece model; empty: the one beside or in the weights.");
  v.field("compute", s.compute, "Type of frozen weights and activations.",
          {.choices = {"float32", "bfloat16"}});
  v.field("device", s.device, "Where it computes.", {.choices = {"cpu", "cuda"}});
  v.field("threads", s.threads,
          "Threads that compute; 0: OMP_NUM_THREADS, else all cores that the rank owns.",
          {.min = 0, .max = 1024});
}

template <class V>
void describe(V& v, TextConfig& s) {
  v.field(
      "template", s.input_template,
      "What the model reads, with {input} where the task's input goes; for decoder-only models with the cue "
      "that the target follows, as in '{input} Category:'. {prompt} says where trained positions go in place "
      "of the front, in several places as in '{prompt:10}{input}{prompt:5} Category:'; {shots} where "
      "text.shots go. The written form of a special token, as in '<|im_start|>user\\n{input}', is that "
      "token.",
      {.min_size = 1});
  v.field(
      "prompt_place", s.prompt_place,
      "Where trained positions go if text.template does not say it, and a {prompt} at its beginning: before "
      "everything, or behind the token that begins a text.",
      {.choices = {"first", "after_begin"}});
  v.field("shots", s.shots,
          "Examples of the training split that are shown in each input, drawn by train.seed, as many of each "
          "label.",
          {.min = 0, .max = 1000, .unit = "examples"});
  v.field("shot", s.shot, "How one of them is written.", {.min_size = 1});
  v.field("max_input", s.max_input, "Longer inputs are cut; counted with end of sequence, without prompt.",
          {.min = 2, .max = 65536, .unit = "tokens"});
  v.field("max_target", s.max_target, "Longer targets are cut; also the most that is generated.",
          {.min = 2, .max = 65536, .unit = "tokens"});
  v.field("target_sentinel", s.target_sentinel,
          "<extra_id_0> in front of targets and predictions, for models that know span corruption only.");
  v.field("train_rows", s.train_rows,
          "Of the training split the first rows are used, of each task of a mixture; 0: all.", {.min = 0});
  v.field("dev_rows", s.dev_rows,
          "Of the split that is scored while training the first rows are used, of each task of a mixture; 0: "
          "all.",
          {.min = 0});
  v.field("cache", s.cache,
          "Folder that tokenised splits are kept in; empty: $TRIMTAB_CACHE if it is set, else `cache` in the "
          "output folder, of a comparison in that of the comparison.");
}

template <class V>
void describe(V& v, TrainConfig& s) {
  v.field("steps", s.steps, "Steps of the run.", {.min = 1, .unit = "steps"});
  v.field("batch", s.batch, "Rows of a step.", {.min = 1, .max = 1 << 20, .unit = "rows"});
  v.field("micro_batch_tokens", s.micro_batch_tokens,
          "Most positions (inputs, prompts and targets) computed at once.", {.min = 1, .unit = "tokens"});
  v.field("seed", s.seed, "Of initial values, data order and dropout.", {.min = 0});
  v.field("dropout", s.dropout,
          "Share of activations that is dropped; absent: what the model is usually trained with (0.1 for T5, "
          "0 for "
          "decoder-only models).",
          {.min = 0, .max = 0.9});
  v.field("z_loss", s.z_loss, "Weight of log(Z)^2.", {.min = 0});
  v.field("evaluate_every", s.evaluate_every, "Steps between scores; 0: never while training.",
          {.min = 0, .unit = "steps"});
  v.field("checkpoint_every", s.checkpoint_every, "Steps between checkpoints; 0: at the end.",
          {.min = 0, .unit = "steps"});
  v.field(
      "journal", s.journal,
      "What is trained is kept after every step, so that a killed run loses none: auto (up to 512 Ki trained "
      "numbers; up to 4 Mi as often as it costs at most a hundredth of the time, and at least every 30 s), "
      "on, "
      "off.",
      {.choices = {"auto", "on", "off"}});
  v.field("patience", s.patience, "Stop after so many scores without gain; 0: never.", {.min = 0});
  v.field("compare_every", s.compare_every,
          "Steps between comparisons of what the replicas hold; 0: never. The run stops if it differs.",
          {.min = 0, .unit = "steps"});
  v.field("log_every", s.log_every, "Steps between lines of metrics.jsonl.", {.min = 1, .unit = "steps"});
  v.field("log_seconds", s.log_seconds, "Between progress lines when not on a terminal.",
          {.min = 0, .unit = "seconds"});
}

template <class V>
void describe(V& v, TransferConfig& s) {
  v.field("name", s.name, "What its scores are called, in the place of a split's name.",
          {.required = true, .min_size = 1});
  v.field("split", s.split, "Split that is scored.", {.min_size = 1});
  v.field("task", s.task, "The task, by `name`, and its options.", {.required = true});
}

template <class V>
void describe(V& v, EvaluateConfig& s) {
  v.field("split", s.split, "Split that is scored while training and chooses the best checkpoint.",
          {.min_size = 1});
  v.field(
      "answers", s.answers,
      "Where answers come from: generate (what the model says), or rank (the likeliest of the task's labels, "
      "for models that were not tuned to say one).",
      {.choices = {"generate", "rank"}});
  v.field("max_examples", s.max_examples,
          "Of each split that is scored the first rows are used, of each task of a mixture; 0: all.",
          {.min = 0});
  v.field("batch_tokens", s.batch_tokens,
          "Most positions (inputs, prompts and targets) generated from at once.",
          {.min = 1, .unit = "tokens"});
  v.field(
      "transfer", s.transfer,
      "Other tasks that the best checkpoint is scored on at the end, without having been trained on them.");
}

template <class V>
void describe(V& v, ExperimentConfig& s) {
  v.field("name", s.name, "Name of the run.", {.min_size = 1});
  v.field("output", s.output, "Run folder.", {.required = true, .min_size = 1});
  v.field("labels", s.labels, "What `trimtab report` shows of the run, as column=text.");
  v.field("mesh", s.mesh, "How the ranks share the work.");
  v.field("model", s.model, "The frozen model.");
  v.field("method", s.method, "What is trained, by `name`, and its options.");
  v.field("task", s.task, "What for, by `name`, and its options.", {.required = true});
  v.field("text", s.text, "Lengths and numbers of rows.");
  v.field("train", s.train, "The loop.");
  v.field("optimizer", s.optimizer, "The optimizer.");
  v.field("evaluate", s.evaluate, "Scoring.");
}

// The experiment of a tree or a file as `overrides` ("key=value") change it one after the other. Throws
// ConfigError.
ExperimentConfig read_experiment(ConfigNode tree, const std::vector<std::string>& overrides);
ExperimentConfig load_experiment(const std::string& path, const std::vector<std::string>& overrides = {});
// One change. Another method leaves the options of the tree's method behind: they mean nothing to it.
void change_experiment(ConfigNode& tree, const Assignment& assignment);

Mesh mesh_of(const ExperimentConfig& config);

// What concerns more than one key. Throws ConfigError.
void check(const ExperimentConfig& config, int world_size);

}  // namespace trimtab
