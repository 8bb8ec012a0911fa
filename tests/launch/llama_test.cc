// SPDX-License-Identifier: Apache-2.0
//
// Whole runs of the program on a tiny decoder-only model: what T5 does, every verb and mesh.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

// The workshop's experiment on a Llama with a cue.
std::vector<std::string> on_llama(const Workshop& shop, const std::string& verb,
                                  const std::vector<std::string>& set = {}) {
  if (!std::filesystem::exists(shop.path("llama.h5"))) shop.make_llama("llama.h5", 1);
  std::vector<std::string> out = {verb, shop.experiment()};
  std::vector<std::string> all = {"model.weights=" + shop.path("llama.h5"),
                                  "text.template='{input} good or bad'"};
  all.insert(all.end(), set.begin(), set.end());
  for (const std::string& option : all) {
    out.emplace_back("--set");
    out.push_back(option);
  }
  return out;
}

std::vector<double> losses(const Workshop& shop, const std::string& run) {
  std::vector<double> out;
  std::istringstream lines(shop.read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line);
    if (row.at("kind") == "train") out.push_back(row.at("loss"));
  }
  return out;
}

TEST(Llama, IsTrainedScoredAndAsked) {
  const Workshop shop;
  const Outcome outcome = run_program(on_llama(shop, "train", {"train.steps=20"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json record = Json::parse(shop.read("run/record.json"));
  EXPECT_EQ(record.at("status"), "finished");
  EXPECT_EQ(record.at("trained_parameters"), 64);
  EXPECT_EQ(record.at("base_sha256_before"), record.at("base_sha256_after"));
  const std::vector<double> curve = losses(shop, "run");
  ASSERT_EQ(curve.size(), 20u);
  EXPECT_LT(curve.back(), 0.9 * curve.front());
  const Outcome score = run_program(on_llama(shop, "evaluate"));
  EXPECT_EQ(score.code, 0) << score.err;
  EXPECT_THAT(score.out, AllOf(HasSubstr("accuracy"), HasSubstr("examples             8")));
  const Outcome answers = run_program(on_llama(shop, "predict"), "a song\n\n{\"input\": \"rain\"}\n");
  EXPECT_EQ(answers.code, 0) << answers.err;
  EXPECT_EQ(std::ranges::count(answers.out, '\n'), 3);
}

TEST(Llama, EveryMeshTrainsWhatOneProcessTrains) {
  const Workshop shop;
  const auto run = [&](const std::string& name, int ranks, const std::string& mesh) {
    const auto arguments = on_llama(
        shop, "train",
        {"mesh=" + mesh, "output=" + shop.path(name), "train.micro_batch_tokens=64", "train.dropout=0.1"});
    const Outcome outcome = ranks == 1 ? run_program(arguments) : run_on_ranks(ranks, arguments);
    EXPECT_EQ(outcome.code, 0) << name << "\n" << outcome.err;
  };
  run("one", 1, "{}");
  const std::vector<double> expected = losses(shop, "one");
  const Json one = Json::parse(shop.read("one/record.json"));
  ASSERT_EQ(expected.size(), 6u);
  for (const auto& [name, ranks, mesh] : {std::tuple{"tp2", 2, "{tensor: 2}"},
                                          {"pp3", 3, "{pipe: 3}"},
                                          {"dp2", 2, "{data: 2}"},
                                          {"pp2_tp2", 4, "{pipe: 2, tensor: 2}"}}) {
    run(name, ranks, mesh);
    const std::vector<double> found = losses(shop, name);
    ASSERT_EQ(found.size(), expected.size()) << name;
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_LT(std::abs(found[i] / expected[i] - 1), 1e-4) << name << " step " << i + 1;
    EXPECT_EQ(Json::parse(shop.read(std::string(name) + "/record.json")).at("scores"), one.at("scores"))
        << name;
  }
}

// Answers that are ranked are labels, the same on every mesh.
TEST(Llama, LabelsAreRanked) {
  const Workshop shop;
  const std::vector<std::string> rank = {"method={name: zero_shot}", "evaluate.answers=rank"};
  auto arguments = on_llama(shop, "evaluate", rank);
  arguments.insert(arguments.end(), {"--predictions", shop.path("one.jsonl")});
  const Outcome one = run_program(arguments);
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("accuracy"));
  arguments = on_llama(shop, "evaluate", rank);
  arguments.insert(arguments.end(), {"--predictions", shop.path("four.jsonl"), "--set",
                                     "mesh={data: 2, pipe: 2}", "--set", "evaluate.batch_tokens=64"});
  const Outcome four = run_on_ranks(4, arguments);
  ASSERT_EQ(four.code, 0) << four.err;
  EXPECT_EQ(shop.read("four.jsonl"), shop.read("one.jsonl"));
  const Outcome answers = run_program(on_llama(shop, "predict", rank), "a song\nrain\na quiet day\n");
  ASSERT_EQ(answers.code, 0) << answers.err;
  std::istringstream lines(answers.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_TRUE(line == "good" || line == "bad") << line;
  EXPECT_EQ(count, 3);
}

TEST(Llama, OtherMethodsAndComparison) {
  const Workshop shop;
  const std::string weights = "'model.weights=" + shop.make_llama("llama.h5", 1) + "'";
  const std::string file = shop.write(
      "compare.yaml", "name: tiny\noutput: " + shop.path("all") + "\nbase: experiment.yaml\nruns:\n" +
                          "  - {name: model, set: [" + weights + ", 'method={name: model_tuning}']}\n" +
                          "  - {name: hard, set: [" + weights +
                          ", 'method={name: hard_prompt, text: \"is {input} good\"}']}\n");
  const Outcome outcome = run_program({"compare", file});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("| model "), HasSubstr("| hard ")));
}

TEST(Llama, IsImportedExportedAndShown) {
  const Workshop shop;
  const std::string model = shop.make_llama("llama.h5", 1);
  EXPECT_EQ(run_program({"export", model, shop.path("hf")}).code, 0);
  EXPECT_EQ(run_program({"import", shop.path("hf"), shop.path("again.h5")}).code, 0);
  const Outcome shown = run_program({"inspect", shop.path("again.h5")});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out,
              AllOf(HasSubstr("Llama model"), HasSubstr("2 of keys and values"), HasSubstr("tied")));
}

TEST(Llama, WhatCannotBeUsedIsSaidWhenItIsImported) {
  const Workshop shop;
  ASSERT_EQ(run_program({"export", shop.make_llama("llama.h5", 1), shop.path("hf")}).code, 0);
  const auto import_to = [&](const std::string& out) {
    return run_program({"import", shop.path("hf"), shop.path(out)});
  };
  EXPECT_THAT(import_to("good.h5").out, AllOf(HasSubstr("vocabulary inside"), Not(HasSubstr("note: "))));
  ASSERT_FALSE(shop.read("hf/spiece.model").empty());
  shop.write("hf/spiece.model", "no vocabulary at all");
  const Outcome noted = import_to("noted.h5");
  EXPECT_EQ(noted.code, 0) << noted.err;
  EXPECT_THAT(noted.out, AllOf(HasSubstr("note: its vocabulary cannot be used: "), HasSubstr("spiece.model"),
                               HasSubstr("model.vocabulary")));
  std::string weights = shop.read("hf/model.safetensors");
  weights.replace(weights.size() - 4, 4, std::string("\0\0\xc0\x7f", 4));
  shop.write("hf/model.safetensors", weights);
  const Outcome refused = import_to("refused.h5");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("not finite"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("refused.h5")));
}

// SmolLM2's way of cutting text, with the tokens of its chat template.
std::string write_chat_vocabulary(const Workshop& shop) {
  std::ifstream file(TRIMTAB_TOKENIZERS_DIR "/smollm/tokenizer.json");
  Json tokenizer = Json::parse(file);
  int id = 420;
  for (const char* text : {"<|im_start|>", "<|im_end|>"}) {
    Json token = tokenizer.at("added_tokens").at(0);
    token["id"] = id++;
    token["content"] = text;
    tokenizer["added_tokens"].push_back(token);
  }
  shop.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  return shop.write("tokenizer.json", tokenizer.dump());
}

TEST(Llama, ChatTemplateOfADryRun) {
  const Workshop shop;
  const std::string vocabulary = "model.vocabulary=" + write_chat_vocabulary(shop);
  const std::string model = "model.weights=" + shop.make_llama("chat.h5", 1, 422);
  const auto dry_run = [&](const std::string& text) {
    return run_program({"train", shop.experiment(), "--dry-run", "--set", model, "--set", vocabulary, "--set",
                        "text.template=\"" + text + "\"", "--set", "text.max_input=50", "--set",
                        "text.max_target=8"});
  };
  const Outcome outcome = dry_run(R"(<|im_start|>user\n{prompt}{input}<|im_end|>\n<|im_start|>assistant\n)");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::size_t begin = outcome.err.find("first example: ");
  ASSERT_NE(begin, std::string::npos) << outcome.err;
  const std::string example = outcome.err.substr(begin, outcome.err.find('\n', begin) - begin);
  EXPECT_TRUE(example.starts_with("first example: <|im_start|> ")) << example;
  EXPECT_THAT(example, AllOf(HasSubstr(" trained] "), HasSubstr(" <|im_end|> "), HasSubstr(" -> ")));
  EXPECT_GT(example.rfind("<|im_start|>"), example.find("<|im_end|>")) << "the answer's turn begins";
  EXPECT_TRUE(example.ends_with(" <|im_end|>")) << "and the token that ends a turn ends the answer";
  const Outcome other = dry_run(R"(<|im_begin|>{input}\n)");
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_THAT(other.err, Not(HasSubstr("<|im_begin|>"))) << "no token, so it is cut as any text";
}

TEST(Llama, GgufIsShownAsItIs) {
  const std::string file = TRIMTAB_GOLDEN_DIR "/gguf/llama.gguf";
  const Outcome shown = run_program({"inspect", file});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("Llama model"), HasSubstr("heads 4, 2 of keys and values"),
                               HasSubstr("GGUF of 20 tensors: "), HasSubstr("7 F32"),
                               HasSubstr("vocabulary inside: none")));
  const Outcome json = run_program({"inspect", file, "--json"});
  EXPECT_EQ(json.code, 2);
  EXPECT_THAT(json.err, HasSubstr("is a model; it is shown as text only"));
}

TEST(Llama, WhatCannotWorkIsRefused) {
  const Workshop shop;
  const auto refused = [&](const std::vector<std::string>& set) {
    const Outcome outcome = run_program(on_llama(shop, "train", set));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refused({"text.max_input=70"}), HasSubstr("the model knows 64 positions"));
  EXPECT_THAT(refused({"method={name: prefix_tuning, length: 60}"}), HasSubstr("60 trained positions"));
  EXPECT_THAT(refused({"text.template='{input}: '"}), HasSubstr("ends in a blank"));
  EXPECT_THAT(refused({"text.template=no slot"}), HasSubstr("should contain {input} once"));
  EXPECT_THAT(refused({"text.prompt_place=after_begin"}),
              HasSubstr("no token begins the texts of this model"));
  EXPECT_THAT(refused({"text.template='{input}{prompt}'"}), HasSubstr("put the cue behind it"));
  EXPECT_THAT(refused({"text.template='{prompt:3}{input} so'"}),
              HasSubstr("text.template: its places for trained positions hold 3, but there are 4"));
  EXPECT_THAT(refused({"text.template='{prompt:x}{input} so'"}), HasSubstr("'{prompt:10}'"));
  EXPECT_THAT(refused({"text.shots=4"}), HasSubstr("put {shots} into it"));
  EXPECT_THAT(refused({"text.shots=17", "text.template='{shots}{input} so'"}),
              HasSubstr("17 examples are to be shown, but the training split has 16"));
  EXPECT_THAT(refused({"model.family=t5"}), HasSubstr("no attribute 't5_config'"));
  EXPECT_THAT(run_on_ranks(3, on_llama(shop, "train", {"mesh.tensor=3"})).err,
              HasSubstr("3 ranks for 2 heads of keys and values; use at most 2"));
}

}  // namespace
}  // namespace trimtab::testing
