// SPDX-License-Identifier: Apache-2.0
//
// Whole runs on meshes of MPI ranks: the same losses, scores and predictions as one process, checkpoints that
// know no layout, and requests that are refused before they hang.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// Dropout is on: its masks must not depend on the mesh.
constexpr double kTolerance = 1e-4;
constexpr int kSteps = 20;

struct Layout {
  std::string name;
  int data, pipe, tensor;
  bool sequence_parallel = false;
  int ranks() const { return data * pipe * tensor; }
};

Outcome train(const Workshop& shop, const Layout& layout, const std::string& output, int steps,
              const std::vector<std::string>& more = {}) {
  const auto set = [](const std::string& key, int value) { return key + "=" + std::to_string(value); };
  std::vector<std::string> arguments = {
      "train", shop.experiment(), "--set", "output=" + shop.path(output), "--set", set("train.steps", steps),
      "--set", set("mesh.data", layout.data), "--set", set("mesh.pipe", layout.pipe), "--set",
      set("mesh.tensor", layout.tensor), "--set",
      std::string("mesh.sequence_parallel=") + (layout.sequence_parallel ? "true" : "false"),
      // Small enough that a stage has several micro-batches, for the whole batch and for half of it.
      "--set", "train.micro_batch_tokens=48", "--set", "train.compare_every=2", "--set",
      "train.evaluate_every=20"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return layout.ranks() == 1 ? run_program(arguments) : run_on_ranks(layout.ranks(), arguments);
}

// The values of a key after each step.
std::map<int, double> values(const Workshop& shop, const std::string& run, const std::string& kind,
                             const std::string& key) {
  std::map<int, double> out;
  std::istringstream lines(shop.read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line);
    if (row.at("kind") == kind) out[row.at("step")] = row.at(key);
  }
  return out;
}

void expect_same_curve(const Workshop& shop, const std::string& run, const std::string& reference) {
  for (const std::string key : {"loss", "gradient_norm", "norm"}) {
    const auto wanted = values(shop, reference, "train", key), found = values(shop, run, "train", key);
    ASSERT_EQ(found.size(), wanted.size()) << run;
    for (const auto& [step, value] : wanted)
      EXPECT_LT(std::abs(found.at(step) / value - 1), kTolerance)
          << run << " " << key << " after step " << step;
  }
  EXPECT_EQ(values(shop, run, "validation", "score"), values(shop, reference, "validation", "score")) << run;
}

// What a verb says of what `run` trained.
std::string ask(const Workshop& shop, const Layout& layout, const std::string& run,
                const std::vector<std::string>& verb, const std::vector<std::string>& method = {},
                const std::string& input = "") {
  std::vector<std::string> arguments = {verb.front(), shop.experiment()};
  arguments.insert(arguments.end(), verb.begin() + 1, verb.end());
  for (const std::string& setting :
       {"output=" + shop.path(run), std::string("evaluate.batch_tokens=48"),
        fmt::format("mesh={{data: {}, pipe: {}, tensor: {}, sequence_parallel: {}}}", layout.data,
                    layout.pipe, layout.tensor, layout.sequence_parallel)})
    arguments.insert(arguments.end(), {"--set", setting});
  arguments.insert(arguments.end(), method.begin(), method.end());
  const Outcome outcome =
      layout.ranks() == 1 ? run_program(arguments, input) : run_on_ranks(layout.ranks(), arguments, input);
  EXPECT_EQ(outcome.code, 0) << layout.name << "\n" << outcome.err;
  return outcome.out;
}

// The scores of what `run` trained, and its answer to each example, as this mesh finds them.
std::string answers(const Workshop& shop, const Layout& layout, const std::string& run,
                    const std::vector<std::string>& method = {}) {
  const std::string file = "answers_of_" + run + "_on_" + layout.name + ".jsonl";
  const std::string scores = ask(shop, layout, run, {"evaluate", "--predictions", shop.path(file)}, method);
  return scores + shop.read(file);
}

std::size_t different_predictions(const std::string& answers) {
  std::set<std::string> out;
  std::istringstream lines(answers);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('{')) out.insert(Json::parse(line).at("prediction"));
  return out.size();
}

// pp3 is uneven, with a cut inside the encoder and one inside the decoder.
const std::vector<Layout>& meshes() {
  static const std::vector<Layout> all = {
      {"dp2", 2, 1, 1},     {"tp2", 1, 1, 2},     {"pp2", 1, 2, 1},         {"pp3", 1, 3, 1},
      {"dp2_pp2", 2, 2, 1}, {"pp2_tp2", 1, 2, 2}, {"dp2_pp2_tp2", 2, 2, 2}, {"tp2_sp", 1, 1, 2, true}};
  return all;
}

TEST(Ranks, EveryMeshTrainsWhatOneProcessTrains) {
  const Workshop shop;
  ASSERT_EQ(train(shop, {"one", 1, 1, 1}, "one", kSteps).code, 0);
  const Json one = Json::parse(shop.read("one/record.json"));
  const std::string wanted = answers(shop, {"one", 1, 1, 1}, "one");
  EXPECT_GT(different_predictions(wanted), 1u) << wanted;
  std::vector<Layout> layouts = meshes();
  layouts.insert(layouts.end(), {{"one_sp", 1, 1, 1, true}, {"dp2_pp2_tp2_sp", 2, 2, 2, true}});
  for (const Layout& layout : layouts) {
    const Outcome outcome = train(shop, layout, layout.name, kSteps);
    ASSERT_EQ(outcome.code, 0) << layout.name << "\n" << outcome.err;
    if (layout.name == "pp3") {
      EXPECT_THAT(outcome.err, AllOf(HasSubstr("stage 1: encoder 1 to decoder 0 "),
                                     HasSubstr("stage 2: decoder 1 to decoder 4 ")));
    }
    expect_same_curve(shop, layout.name, "one");
    const Json record = Json::parse(shop.read(layout.name + "/record.json"));
    EXPECT_EQ(record.at("scores"), one.at("scores")) << layout.name;
    EXPECT_EQ(answers(shop, layout, layout.name), wanted) << layout.name;
    EXPECT_EQ(record.at("base_sha256_before"), record.at("base_sha256_after"));
    // Of what is trained, only its gradient goes to other replicas: 4 * 16 numbers, loss and count.
    EXPECT_EQ(values(shop, layout.name, "train", "tokens"), values(shop, "one", "train", "tokens"));
    EXPECT_EQ(record.at("traffic").at("between_steps").at("bytes") > 0, layout.name != "one_sp");
    const Json ranks = record.at("traffic").at("of_ranks");
    ASSERT_EQ(ranks.size(), layout.ranks()) << layout.name;
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      const bool holds_prompt = rank / layout.tensor % layout.pipe == 0;  // the first stage
      const Json& gradient = ranks[rank].at("gradient");
      EXPECT_EQ(gradient.at("calls"), layout.data > 1 ? kSteps : 0) << layout.name << ", rank " << rank;
      EXPECT_EQ(gradient.at("bytes"), layout.data > 1 ? kSteps * 4 * ((holds_prompt ? 4 * 16 : 0) + 2) : 0)
          << layout.name << ", rank " << rank;
    }
  }
}

// Twice as long, so fewer of them.
const std::vector<std::string> kOtherMicroBatches = {"--set", "train.micro_batch_tokens=96"};

// What `from` saved after step 4 goes on on `to`, with other micro-batches, as `reference` went on.
void expect_goes_on(const Workshop& shop, const Layout& from, const Layout& to, const std::string& reference,
                    const std::vector<std::string>& more = {}) {
  const std::string run = from.name + "_to_" + to.name;
  std::filesystem::copy(shop.path("begun_on_" + from.name), shop.path(run),
                        std::filesystem::copy_options::recursive);
  std::vector<std::string> settings = more;
  settings.insert(settings.end(), kOtherMicroBatches.begin(), kOtherMicroBatches.end());
  const Outcome outcome = train(shop, to, run, 10, settings);
  ASSERT_EQ(outcome.code, 0) << run << "\n" << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("going on after step 4"));
  for (const std::string key : {"loss", "gradient_norm"}) {
    const auto wanted = values(shop, reference, "train", key), found = values(shop, run, "train", key);
    for (int step = 5; step <= 10; ++step)
      EXPECT_LT(std::abs(found.at(step) / wanted.at(step) - 1), kTolerance)
          << run << " " << key << " " << step;
  }
}

void expect_no_layout_matters(const std::vector<Layout>& layouts, const std::vector<std::string>& more = {}) {
  const Workshop shop;
  ASSERT_EQ(train(shop, {"one", 1, 1, 1}, "one", 10, more).code, 0);
  for (const Layout& from : layouts) {
    const Outcome begun = train(shop, from, "begun_on_" + from.name, 4, more);
    ASSERT_EQ(begun.code, 0) << from.name << "\n" << begun.err;
    for (const Layout& to : layouts)
      if (from.name != to.name) expect_goes_on(shop, from, to, "one", more);
  }
}

const std::vector<Layout> kSavedOn = {
    {"one", 1, 1, 1}, {"tp2", 1, 1, 2}, {"pp2", 1, 2, 1}, {"dp2_pp2", 2, 2, 1}};

TEST(Ranks, CheckpointsKnowNoLayout) { expect_no_layout_matters(kSavedOn); }

TEST(Ranks, MeshThatIsNotTheJob) {
  const Workshop shop;
  const Outcome alone = run_program({"train", shop.experiment(), "--set", "mesh.pipe=2"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_THAT(alone.err, HasSubstr("mpirun -n 2"));
  const Outcome three = run_on_ranks(3, {"train", shop.experiment(), "--set", "mesh.data=2"});
  EXPECT_EQ(three.code, 2) << three.err;
  EXPECT_THAT(three.err, AllOf(HasSubstr("rank 0 of 3"), HasSubstr("mesh")));
}

TEST(Ranks, MoreStagesThanLayers) {
  const Workshop shop;
  const Outcome outcome = run_on_ranks(8, {"train", shop.experiment(), "--set", "mesh.pipe=8"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("8 stages for 7 layers"));
  EXPECT_EQ(outcome.err.find("error: "), outcome.err.rfind("error: ")) << "all say it: " << outcome.err;
}

TEST(Ranks, RanksWithDifferentFiles) {
  const Workshop shop;
  const std::vector<std::string> common = {"train", shop.experiment(), "--set", "mesh.data=2"};
  std::vector<std::string> other = common;
  other.insert(other.end(), {"--set", "train.seed=7"});
  const Outcome outcome = run_on_ranks({common, other});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("the experiment of rank 1 is not that of rank 0"));
}

// It is compared without a GPU, too, since the environment is wrong in any case.
TEST(Ranks, RanksWithDifferentAttention) {
  const Workshop shop;
  const auto with = [&](const std::vector<std::string>& values) {
    std::vector<std::vector<std::string>> commands;
    for (const std::string& value : values)
      commands.push_back({"env", value, TRIMTAB_PROGRAM, "train", shop.experiment(), "--set", "mesh.data=2"});
    return run_commands_on_ranks(commands);
  };
  const Outcome outcome = with({"TRIMTAB_ATTENTION=padded", "TRIMTAB_ATTENTION=ragged"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("the variable TRIMTAB_ATTENTION of the environment is 'ragged' on rank 1, "
                        "but 'padded' on rank 0; set it on all hosts"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/record.json")));
  // Not to set it is to choose `padded`.
  EXPECT_EQ(with({"TRIMTAB_ATTENTION=padded", "OTHER=1"}).code, 0);
}

// As by a wrapper script that does not hand on its arguments.
TEST(Ranks, RanksWithDifferentCommandLines) {
  const Workshop shop;
  const std::vector<std::string> train = {"train", shop.experiment(), "--set", "mesh.data=2"};
  for (const std::vector<std::string>& other :
       {std::vector<std::string>{"train", shop.experiment(), "--set", "mesh.data=2", "--dry-run"},
        {"evaluate", shop.experiment(), "--set", "mesh.data=2"}}) {
    const Outcome outcome = run_on_ranks({train, other});
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err,
                ::testing::ContainsRegex(
                    "(^|\n)error: rank 0 of 2 on [^ ]+: the ranks were started with different "));
    EXPECT_THAT(
        outcome.err,
        AllOf(HasSubstr("`trimtab train " + shop.experiment() + "` on rank 0, but `trimtab " + other.front()),
              HasSubstr("` on rank 1; start all ranks with the same verb and arguments")));
    EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("check failed")));
    EXPECT_FALSE(std::filesystem::exists(shop.path("run/lock")));
  }
}

// Two hosts with folders of their own, and `file` is another one in the second.
Outcome train_in_two_folders(const Workshop& shop, const std::string& file, const std::string& other,
                             const std::vector<std::string>& more = {}) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string place : {"one", "two"}) {
    std::filesystem::create_directories(shop.path(place));
    for (const std::string name : {"model.h5", "spiece.model", "train.jsonl", "dev.jsonl"})
      std::filesystem::copy(shop.path(place == "two" && name == file ? other : name),
                            shop.path(place + "/" + name));
    std::vector<std::string> arguments = {
        "train", shop.experiment(),          "--set", "mesh.data=2",
        "--set", "model.weights=model.h5",   "--set", "task.train=train.jsonl",
        "--set", "task.validation=dev.jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    commands.push_back(program_in(shop.path(place), arguments));
  }
  return run_commands_on_ranks(commands);
}

TEST(Ranks, RanksWithTheSameFilesInTwoPlaces) {
  const Workshop shop;
  const Outcome outcome = train_in_two_folders(shop, "", "");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST(Ranks, RanksWithDifferentWeights) {
  const Workshop shop;
  shop.make_model("other.h5", 2);
  const Outcome outcome = train_in_two_folders(shop, "model.h5", "other.h5");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("the file of weights of rank 1 is not that of rank 0; copy model.weights"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
}

// As many rows, of which one has the other label.
TEST(Ranks, RanksWithDifferentRows) {
  const Workshop shop;
  std::string rows = shop.read("train.jsonl");
  const std::size_t label = rows.rfind("\"bad\"");
  ASSERT_NE(label, std::string::npos);
  shop.write("other.jsonl", rows.replace(label, 5, "\"good\""));
  const Outcome outcome = train_in_two_folders(shop, "train.jsonl", "other.jsonl");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("the split 'train' of rank 1 is not that of rank 0; its rows differ"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
}

// Without this the replicas score each other's answers against other rows.
TEST(Ranks, RanksWithDifferentRowsToScore) {
  const Workshop shop;
  std::string rows = shop.read("dev.jsonl");
  const std::size_t end = rows.find('\n') + 1;
  shop.write("other.jsonl", rows.substr(end) + rows.substr(0, end));
  const Outcome outcome = train_in_two_folders(shop, "dev.jsonl", "other.jsonl");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("the split 'validation' of rank 1 is not that of rank 0; its rows differ"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
}

TEST(Ranks, RanksWithRunFoldersOfTheirOwn) {
  const Workshop shop;
  const Outcome outcome = train_in_two_folders(shop, "", "", {"--set", "output=own"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("one/own: what rank 0 writes there is not seen by rank 1"),
                                 HasSubstr("a file system that all hosts share")));
  EXPECT_FALSE(std::filesystem::exists(shop.path("one/own/last.h5")));
}

// Every sum that Adafactor takes over a whole matrix is at work: factored moments, clipping by RMS, scaling
// by the parameter's size, and the norm of all gradients.
const std::vector<std::string> kModelTuning = {
    "--set", "method={name: model_tuning}", "--set",
    "optimizer={learning_rate: 0.02, min_dim_size_to_factor: 8, parameter_scaling: true, "
    "global_norm_clip: 1.0}"};

// LoRA and prefixes are trained on every stage and cut over tensor ranks: norms, counts and clipping must be
// those of all of it together.
TEST(Ranks, EveryMethodOnMeshes) {
  const Workshop shop;
  for (const std::string method : {"{name: lora, rank: 2, dropout: 0.1}", "{name: ia3}",
                                   "{name: prefix_tuning, length: 2, reparameterisation: mlp, hidden: 6}",
                                   "{name: p_tuning, length: 5, hidden: 6}"}) {
    SCOPED_TRACE(method);
    // Methods that train no position leave the places empty.
    const std::vector<std::string> chosen = {"--set", "method=" + method, "--set",
                                             "text.template='{prompt:1}{input}{prompt:2} so{prompt}'"};
    static int number = 0;
    const std::string one = fmt::format("one_{}", ++number);
    ASSERT_EQ(train(shop, {"one", 1, 1, 1}, one, 4, chosen).code, 0);
    const Json wanted = Json::parse(shop.read(one + "/record.json"));
    for (const Layout& layout :
         std::vector<Layout>{{"pp3", 1, 3, 1}, {"dp2_pp2_tp2", 2, 2, 2}, {"tp2_sp", 1, 1, 2, true}}) {
      const std::string run = fmt::format("{}_{}", layout.name, number);
      const Outcome outcome = train(shop, layout, run, 4, chosen);
      ASSERT_EQ(outcome.code, 0) << layout.name << "\n" << outcome.err;
      expect_same_curve(shop, run, one);
      const Json record = Json::parse(shop.read(run + "/record.json"));
      EXPECT_EQ(record.at("trained_parameters"), wanted.at("trained_parameters")) << layout.name;
      EXPECT_EQ(record.at("scores"), wanted.at("scores")) << layout.name;
      EXPECT_EQ(record.at("base_sha256_before"), record.at("base_sha256_after"));
    }
    // What a mesh saved goes on in one process.
    std::filesystem::copy(shop.path(fmt::format("dp2_pp2_tp2_{}", number)), shop.path(one + "_more"),
                          std::filesystem::copy_options::recursive);
    const Outcome more = train(shop, {"one", 1, 1, 1}, one + "_more", 6, chosen);
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_THAT(more.err, HasSubstr("going on after step 4"));
  }
}

TEST(Ranks, ModelTuningOnEveryMesh) {
  const Workshop shop;
  ASSERT_EQ(train(shop, {"one", 1, 1, 1}, "one", kSteps, kModelTuning).code, 0);
  const Json one = Json::parse(shop.read("one/record.json"));
  std::vector<Layout> layouts = meshes();
  layouts.push_back({"pp2_tp2_sp", 1, 2, 2, true});
  for (const Layout& layout : layouts) {
    const Outcome outcome = train(shop, layout, layout.name, kSteps, kModelTuning);
    ASSERT_EQ(outcome.code, 0) << layout.name << "\n" << outcome.err;
    for (const std::string key : {"loss", "gradient_norm"}) {
      const auto wanted = values(shop, "one", "train", key), found = values(shop, layout.name, "train", key);
      ASSERT_EQ(found.size(), static_cast<std::size_t>(kSteps)) << layout.name;
      for (const auto& [step, value] : wanted)
        EXPECT_LT(std::abs(found.at(step) / value - 1), kTolerance)
            << layout.name << " " << key << " " << step;
    }
    const Json record = Json::parse(shop.read(layout.name + "/record.json"));
    EXPECT_EQ(record.at("scores"), one.at("scores")) << layout.name;
    EXPECT_NE(record.at("base_sha256_before"), record.at("base_sha256_after"));
  }
}

TEST(Ranks, TunedModelsKnowNoLayout) { expect_no_layout_matters(kSavedOn, kModelTuning); }

// Where shares of tensor ranks and copies of stages meet in one checkpoint.
TEST(Ranks, TunedModelsKnowNoLayoutOfTensorRanksAndStages) {
  expect_no_layout_matters({{"one", 1, 1, 1}, {"pp2_tp2", 1, 2, 2}}, kModelTuning);
}

// Of a tuned model, whose answers are not all the same.
TEST(Ranks, AnswersAreThoseOfOneProcess) {
  const Workshop shop;
  ASSERT_EQ(train(shop, {"one", 1, 1, 1}, "run", 60, kModelTuning).code, 0);
  const std::string input = "a warm and happy song number 3\na cold and empty room number 5\n";
  const Layout one{"one", 1, 1, 1}, all{"dp2_pp2_tp2", 2, 2, 2};
  const std::string wanted = answers(shop, one, "run", kModelTuning);
  EXPECT_THAT(wanted, AllOf(HasSubstr("\"prediction\":\"good\""), HasSubstr("\"prediction\":\"bad\"")));
  for (const Layout& layout : meshes())
    EXPECT_EQ(answers(shop, layout, "run", kModelTuning), wanted) << layout.name;
  EXPECT_EQ(ask(shop, all, "run", {"predict"}, kModelTuning, input),
            ask(shop, one, "run", {"predict"}, kModelTuning, input));
}

}  // namespace
}  // namespace trimtab::testing
