// SPDX-License-Identifier: Apache-2.0
//
// Two rows beside four pieces in the plane, all numbers by hand.
#include "experiments/prompt_analysis.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/temp_folder.h"
#include "data/tokenizers/open_tokenizer.h"
#include "experiments/message_of.h"
#include "experiments/prompt_inspection.h"
#include "experiments/prompt_plots.h"
#include "models/formats/npy.h"
#include "models/llama/llama_files.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

PromptMatrix matrix_of(std::vector<float> values, std::int64_t width = 2) {
  return {"prompt", {static_cast<std::int64_t>(values.size()) / width, width}, std::move(values), ""};
}

const PromptMatrix& two_rows() {
  static const PromptMatrix prompt = matrix_of({3, 4, 0, 2});
  return prompt;
}
const std::vector<float>& pieces() {
  static const std::vector<float> table = {1, 0, 0, 1, 1, 1, -1, 0};
  return table;
}

TEST(PromptAnalysis, Norms) {
  const PromptNorms norms = norms_of(two_rows());
  EXPECT_THAT(norms.rows, ElementsAre(5, 2));
  EXPECT_EQ(norms.least, 2);
  EXPECT_EQ(norms.mean, 3.5);
  EXPECT_EQ(norms.greatest, 5);
  EXPECT_NEAR(norms.deviation, std::sqrt(29.0 / 4 - 2.25 * 2.25), 1e-12);
}

TEST(PromptAnalysis, NeighboursAndWhatRowsShare) {
  const auto nearest = nearest_rows(two_rows(), pieces(), 2);
  ASSERT_EQ(nearest.size(), 2U);
  EXPECT_EQ(nearest[0][0].id, 2);
  EXPECT_NEAR(nearest[0][0].cosine, 7 / (5 * std::sqrt(2.0)), 1e-6);
  EXPECT_EQ(nearest[0][1].id, 1);
  EXPECT_NEAR(nearest[0][1].cosine, 0.8, 1e-6);
  EXPECT_EQ(nearest[1][0].id, 1);
  EXPECT_EQ(distinct_nearest(nearest), 2U);
  const auto shared = shared_neighbours(nearest);
  ASSERT_EQ(shared.size(), 2U);
  EXPECT_EQ(shared[0].id, 1);
  EXPECT_THAT(shared[0].rows, ElementsAre(0, 1));
  EXPECT_THAT(shared_neighbours(nearest_rows(two_rows(), pieces(), 1)), IsEmpty());
  // Those of most rows first.
  const auto of_three = shared_neighbours({{{7, 1}, {3, 1}}, {{9, 1}, {7, 1}}, {{9, 1}, {3, 1}}, {{9, 1}}});
  ASSERT_EQ(of_three.size(), 3U);
  EXPECT_EQ(of_three[0].id, 9);
  EXPECT_THAT(of_three[0].rows, ElementsAre(1, 2, 3));
}

TEST(PromptAnalysis, LabelsAreLookedForAmongTheNeighbours) {
  const std::vector<LabelPieces> labels = {{"up", {1}}, {"two pieces", {0, 2}}, {"left", {3}}};
  const auto hits = label_hits(two_rows(), pieces(), labels, 1);
  ASSERT_EQ(hits.size(), 3U);
  EXPECT_THAT(hits[0].rows, ElementsAre(1));
  EXPECT_EQ(hits[0].best_row, 1U);
  EXPECT_EQ(hits[0].place, 1);
  EXPECT_NEAR(hits[0].cosine, 1, 1e-6);
  // The mean of (1, 0) and (1, 1), to which only (1, 1) is nearer than it in row 0.
  EXPECT_THAT(hits[1].rows, IsEmpty());
  EXPECT_EQ(hits[1].best_row, 0U);
  EXPECT_EQ(hits[1].place, 2);
  EXPECT_NEAR(hits[1].cosine, (3 * 1 + 4 * 0.5) / (5 * std::sqrt(1.25)), 1e-6);
  EXPECT_EQ(hits[2].best_row, 1U);
  EXPECT_EQ(hits[2].place, 3);
  EXPECT_EQ(labels_hit(hits), 1U);
  const auto two = label_hits(two_rows(), pieces(), labels, 2);
  EXPECT_THAT(two[0].rows, ElementsAre(0, 1));
  EXPECT_THAT(two[1].rows, ElementsAre(0));
  EXPECT_EQ(labels_hit(two), 2U);
}

TEST(PromptAnalysis, Likeness) {
  const PromptLikeness alike = likeness(two_rows(), matrix_of({0, 5}));
  EXPECT_NEAR(alike.averaged, 3 / std::hypot(1.5, 3), 1e-12);
  EXPECT_NEAR(alike.best_match, (0.8 + 1 + 1) / 3, 1e-12);
  const PromptLikeness back = likeness(matrix_of({0, 5}), two_rows());
  EXPECT_NEAR(back.best_match, alike.best_match, 1e-12);
  EXPECT_NEAR(likeness(two_rows(), two_rows()).averaged, 1, 1e-12);
  EXPECT_EQ(likeness(two_rows(), matrix_of({0, 0})).averaged, 0);
  EXPECT_THAT(message_of([] {
                likeness(two_rows(), matrix_of({1, 2, 3}, 3));
              }),
              AllOf(HasSubstr("[2, 2]"), HasSubstr("[1, 3]"), HasSubstr("different widths")));
}

TEST(PromptAnalysis, Movement) {
  const PromptMovement moved = movement(two_rows(), matrix_of({3, 0, 0, 1}));
  EXPECT_THAT(moved.rows, ElementsAre(4, 1));
  EXPECT_NEAR(moved.distance, std::sqrt(17.0), 1e-12);
  EXPECT_NEAR(moved.start_norm, std::sqrt(10.0), 1e-12);
  EXPECT_NEAR(moved.cosines[0], 0.6, 1e-12);
  EXPECT_NEAR(moved.cosines[1], 1, 1e-12);
  EXPECT_THAT(message_of([] { movement(two_rows(), matrix_of({1, 2})); }), HasSubstr("shapes differ"));
}

TEST(PromptAnalysis, MovementThatTheRunWroteDown) {
  const TempFolder folder;
  const std::string file = folder.write("metrics.jsonl",
                                        "{\"step\":1,\"kind\":\"train\",\"moved\":2.5}\n"
                                        "{\"step\":2,\"kind\":\"validation\",\"moved\":9}\n"
                                        "{\"step\":2,\"kind\":\"train\",\"moved\":3.5}\n{\"step\":3,\"ki");
  EXPECT_EQ(recorded_movement(file, 2), 3.5);
  EXPECT_EQ(recorded_movement(file, 3), std::nullopt);
  EXPECT_EQ(recorded_movement(folder.file("none"), 2), std::nullopt);
}

// -- Files.

class Inspect : public testing::Test {
 protected:
  Inspect() {
    write_npy(first_, {2, 2}, two_rows().values);
    write_npy(second_, {1, 2}, std::vector<float>{0, 5});
  }

  TempFolder folder_;
  std::string first_ = folder_.write("seed=1/p.npy", ""), second_ = folder_.write("seed=2/p.npy", "");
};

TEST_F(Inspect, OnePrompt) {
  InspectRequest request;
  request.files = {first_};
  request.initial = folder_.file("start.npy");
  write_npy(request.initial, {2, 2}, std::vector<float>{3, 0, 0, 1});
  const Inspections one = inspect_prompts(request);
  const std::string text = inspection_text(one, 20);
  EXPECT_THAT(text, AllOf(HasSubstr("p.npy: prompt [2, 2]"), HasSubstr("least 2, mean 3.5, greatest 5"),
                          HasSubstr("moved by 4.123"), HasSubstr("0.60 to 1.00"), Not(HasSubstr("nearest"))));
  const auto json = nlohmann::json::parse(inspection_json(one));
  EXPECT_EQ(json["prompts"][0]["norms"]["rows"], (std::vector<double>{5, 2}));
  EXPECT_EQ(json["prompts"][0]["movement"]["rows"], (std::vector<double>{4, 1}));
  EXPECT_FALSE(json.contains("likeness"));
  const PromptPicture picture = prompt_picture(one, "out");
  EXPECT_EQ(picture.data, "# row norm\n0 5\n1 2\n");
  EXPECT_THAT(picture.script, AllOf(HasSubstr("set output 'out.png'"), HasSubstr("set output 'out.svg'"),
                                    HasSubstr("'out.dat' using 1:2"), Not(HasSubstr("using 1:3"))));
}

// The weights of a Llama, normal numbers.
class NormalWeights : public TensorSource {
 public:
  explicit NormalWeights(const LlamaConfig& config) {
    for (const WeightShape& weight : llama_weights(config)) shapes_[weight.name] = weight.shape;
  }
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, shape] : shapes_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return shapes_.contains(name); }
  TensorInfo info(const std::string& name) const override { return {DType::kFloat32, shapes_.at(name)}; }
  void read(const std::string& name, const Slab& slab, DType, void* out) const override {
    const Shape& shape = shapes_.at(name);
    const std::int64_t row = element_count(shape) / shape[0];
    const std::int64_t begin = slab.begin.empty() ? 0 : slab.begin[0] * row;
    const std::int64_t count = slab.count.empty() ? element_count(shape) : slab.count[0] * row;
    fill_normal(RandomStream(1, Purpose::kInit, 0), static_cast<std::uint64_t>(begin),
                static_cast<std::size_t>(count), static_cast<float*>(out));
  }

 private:
  std::map<std::string, Shape> shapes_;
  std::string path_ = "normal weights";
};

// A target behind a cue begins with a blank, and " the" is another piece than "the".
TEST_F(Inspect, LabelsOfADecoderOnlyModelAreLookedForAsTargets) {
  const std::string vocabulary = std::string(TRIMTAB_TOKENIZERS_DIR) + "/gpt2/tokenizer.json";
  const auto tokenizer = open_tokenizer(vocabulary);
  const auto as_target = tokenizer->encode(" the"), as_text = tokenizer->encode("the");
  ASSERT_EQ(as_target.size(), 1U);
  ASSERT_NE(as_target, as_text);
  LlamaConfig config;
  config.vocab = tokenizer->size();
  config.d_model = 16;
  config.layers = 1;
  config.heads = 2;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.d_ff = 8;
  config.tied_head = true;
  InspectRequest request;
  request.weights = folder_.file("llama.h5");
  request.vocabulary = vocabulary;
  request.labels = {"the"};
  request.files = {folder_.file("label.npy")};
  const NormalWeights weights(config);
  save_llama({config, std::make_unique<NormalWeights>(config), {}}, request.weights, DType::kFloat32);
  std::vector<float> row(16);
  const std::int64_t id = as_target.front();
  weights.read("model.embed_tokens.weight", {{id, 0}, {1, 16}}, DType::kFloat32, row.data());
  write_npy(request.files.front(), {1, 16}, row);
  const Inspections found = inspect_prompts(request);
  ASSERT_EQ(found.prompts.front().labels.size(), 1U);
  EXPECT_EQ(found.prompts.front().labels.front().place, 1);
  EXPECT_NEAR(found.prompts.front().labels.front().cosine, 1, 1e-6);
}

TEST_F(Inspect, SeveralPromptsAreCompared) {
  InspectRequest request;
  request.files = {first_, second_};
  const Inspections two = inspect_prompts(request);
  EXPECT_THAT(two.names, ElementsAre("seed=1", "seed=2"));
  EXPECT_THAT(inspection_text(two, 20),
              AllOf(HasSubstr("averaged prompts\n    1.00  0.89  seed=1\n    0.89  1.00  seed=2\n"),
                    HasSubstr("    1.00  0.93  seed=1\n")));
  const auto json = nlohmann::json::parse(inspection_json(two));
  EXPECT_NEAR(json["likeness"]["averaged"][1][0].get<double>(), 3 / std::hypot(1.5, 3), 1e-12);
  const PromptPicture picture = prompt_picture(two, "out");
  EXPECT_EQ(picture.data,
            "# averaged\n1.000000 0.894427\n0.894427 1.000000\n\n\n"
            "# best match\n1.000000 0.933333\n0.933333 1.000000\n");
  EXPECT_THAT(picture.script, AllOf(HasSubstr("set xtics ('seed=1' 0, 'seed=2' 1)"),
                                    HasSubstr("'out.dat' index 1 matrix with image")));
}

TEST_F(Inspect, WhatDoesNotGoTogetherIsNamed) {
  write_npy(folder_.file("wide.npy"), {1, 3}, std::vector<float>{1, 2, 3});
  InspectRequest request;
  request.files = {first_, folder_.file("wide.npy")};
  EXPECT_THAT(message_of([&] { inspect_prompts(request); }),
              AllOf(HasSubstr("seed=1/p.npy"), HasSubstr("wide.npy"), HasSubstr("different widths")));
  request.files = {first_};
  request.initial = second_;
  EXPECT_THAT(message_of([&] { inspect_prompts(request); }),
              AllOf(HasSubstr("seed=1/p.npy: prompt [2, 2]"), HasSubstr("seed=2/p.npy: prompt [1, 2]")));
}

TEST(ShortNames, LeaveWhatTellsApart) {
  EXPECT_THAT(short_names({"runs/a/best.h5", "runs/b/best.h5"}), ElementsAre("a", "b"));
  EXPECT_THAT(short_names({"runs/a/x.npy", "runs/a/y.npy"}), ElementsAre("x.npy", "y.npy"));
  EXPECT_THAT(short_names({"a.npy", "runs/a.npy"}), ElementsAre("a.npy", "runs/a.npy"));
  EXPECT_THAT(short_names({"runs/a.npy", "runs/a.npy"}), ElementsAre("runs", "runs"));
  EXPECT_THAT(short_names({"runs/a.npy"}), ElementsAre("runs/a.npy"));
}

}  // namespace
}  // namespace trimtab
