// SPDX-License-Identifier: Apache-2.0
//
// Several prompts of one frozen model in one pass of the program: what each row and each prompt gets alone,
// on every mesh, ensembles, and requests that name no prompt.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

Words lines_of(const std::string& text) {
  Words out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

// Three prompts of different lengths that answer differently.
class Lanes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shop_ = std::make_unique<Workshop>();
    for (const auto& [name, length] : kLengths) {
      const Outcome outcome = run_program(
          {"train", shop_->experiment(), "--set", "method.length=" + std::to_string(length), "--set",
           "train.seed=" + std::to_string(length), "--set", "output=" + shop_->path(name), "--set",
           "optimizer.learning_rate=" + std::to_string(length)});
      ASSERT_EQ(outcome.code, 0) << outcome.err;
    }
  }
  static void TearDownTestSuite() { shop_.reset(); }

  static Words with_prompts(const std::string& verb, const Words& more = {}) {
    Words out = {verb, shop_->experiment()};
    for (const auto& [name, length] : kLengths) {
      out.emplace_back("--prompt");
      out.push_back(name + "=" + shop_->path(name) + (name == "b" ? "/best.h5" : ""));
    }
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  // With the experiment's own prompt only.
  static Words alone(const std::string& verb, const std::string& name, const Words& more = {}) {
    Words out = {verb,           shop_->experiment(),
                 "--checkpoint", shop_->path(name) + "/best.h5",
                 "--set",        "method.length=" + std::to_string(kLengths.at(name))};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  static inline const std::map<std::string, int> kLengths = {{"a", 4}, {"b", 7}, {"c", 1}};
  static inline std::unique_ptr<Workshop> shop_;
};

// Rows of all prompts, one behind the other.
struct Asked {
  std::string rows;
  std::map<std::string, std::string> inputs;  // of each prompt
  Words prompts;                              // of the rows
};

Asked mixed_rows() {
  const Words texts = {"a song", "the worst night", "rain", "kind words and clear light",
                       "number 3 of the day"};
  Asked asked;
  for (std::size_t i = 0; i < 15; ++i) {
    const std::string prompt(1, "bacca"[i % 5]), text = texts[i % 5] + " " + std::to_string(i);
    asked.rows += Json{{"input", text}, {"prompt", prompt}}.dump() + "\n";
    asked.inputs[prompt] += text + "\n";
    asked.prompts.push_back(prompt);
  }
  return asked;
}

TEST_F(Lanes, RowsOfSeveralPromptsGetTheAnswersOfEachAlone) {
  const Asked asked = mixed_rows();
  std::map<std::string, Words> expected;
  for (const auto& [name, inputs] : asked.inputs) {
    const Outcome outcome = run_program(alone("predict", name), inputs);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    expected[name] = lines_of(outcome.out);
  }
  std::string wanted;
  std::map<std::string, std::size_t> next;
  for (const std::string& name : asked.prompts) wanted += expected[name].at(next[name]++) + "\n";
  const Outcome one = run_program(with_prompts("predict"), asked.rows);
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, wanted);
  const Outcome small =
      run_program(with_prompts("predict", {"--set", "evaluate.batch_tokens=48"}), asked.rows);
  EXPECT_EQ(small.out, wanted) << small.err;
  for (const std::string mesh :
       {"{pipe: 2}", "{tensor: 2}", "{pipe: 3}", "{data: 2, pipe: 2}", "{data: 2, pipe: 2, tensor: 2}"}) {
    const auto ranks = mesh == "{data: 2, pipe: 2, tensor: 2}" ? 8
                       : mesh == "{data: 2, pipe: 2}"          ? 4
                       : mesh == "{pipe: 3}"                   ? 3
                                                               : 2;
    const Outcome outcome = run_on_ranks(
        ranks, with_prompts("predict", {"--set", "mesh=" + mesh, "--set", "evaluate.batch_tokens=48"}),
        asked.rows);
    ASSERT_EQ(outcome.code, 0) << mesh << outcome.err;
    EXPECT_EQ(outcome.out, wanted) << mesh;
  }
  // Or else the above shows little.
  const Outcome other = run_program(alone("predict", "c"), asked.inputs.at("a"));
  EXPECT_NE(lines_of(other.out), expected["a"]);
}

Json evaluated(const Words& arguments, int ranks = 1) {
  const Outcome outcome = ranks == 1 ? run_program(arguments) : run_on_ranks(ranks, arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.code == 0 ? Json::parse(outcome.out) : Json();
}

TEST_F(Lanes, EachPromptScoresWhatItScoresAlone) {
  const std::string file = shop_->path("together.jsonl"), again = shop_->path("again.jsonl");
  Json together = evaluated(with_prompts("evaluate", {"--format", "json", "--predictions", file}));
  ASSERT_EQ(together.at("prompts").size(), 3u);
  EXPECT_FALSE(together.contains("ensemble"));
  for (const Json& prompt : together.at("prompts")) {
    const std::string name = prompt.at("name"), own = shop_->path(name + ".jsonl");
    const Json one = evaluated(alone("evaluate", name, {"--format", "json", "--predictions", own}));
    EXPECT_EQ(prompt.at("metrics"), one.at("metrics")) << name;
    EXPECT_EQ(prompt.at("invalid_labels"), one.at("invalid_labels"));
    EXPECT_EQ(prompt.at("length"), kLengths.at(name));
    const Words mine = lines_of(shop_->read(name + ".jsonl")), all = lines_of(shop_->read("together.jsonl"));
    ASSERT_EQ(mine.size(), 8u);
    ASSERT_EQ(all.size(), 8u);
    for (std::size_t row = 0; row < mine.size(); ++row)
      EXPECT_EQ(Json::parse(mine[row]).at("prediction"), Json::parse(all[row]).at("predictions").at(name));
  }
  Json meshed = evaluated(
      with_prompts("evaluate", {"--format", "json", "--predictions", again, "--set",
                                "mesh={data: 2, pipe: 2, tensor: 2}", "--set", "evaluate.batch_tokens=48"}),
      8);
  together.erase("seconds");
  meshed.erase("seconds");
  EXPECT_EQ(meshed, together);
  EXPECT_EQ(shop_->read("again.jsonl"), shop_->read("together.jsonl"));
}

TEST_F(Lanes, AnEnsembleVotes) {
  const std::string file = shop_->path("votes.jsonl");
  const Json found =
      evaluated(with_prompts("evaluate", {"--ensemble", "--format", "json", "--predictions", file}));
  int right = 0, agreed = 0, split = 0;
  for (const std::string& line : lines_of(shop_->read("votes.jsonl"))) {
    const Json row = Json::parse(line), given = row.at("predictions");
    const std::string a = given.at("a"), b = given.at("b"), c = given.at("c"), voted = row.at("prediction");
    EXPECT_EQ(voted, b == c ? b : a) << line;
    right += voted == row.at("target") ? 1 : 0;
    agreed += a == b && b == c ? 1 : 0;
    split += a != b || b != c ? 1 : 0;
  }
  EXPECT_GT(split, 0) << "or else there was nothing to vote on";
  EXPECT_EQ(found.at("ensemble").at("score"), 100.0 * right / 8);
  EXPECT_EQ(found.at("agreement"), 100.0 * agreed / 8);
  double sum = 0, best = 0;
  for (const Json& prompt : found.at("prompts")) {
    sum += prompt.at("score").get<double>();
    best = std::max(best, prompt.at("score").get<double>());
  }
  EXPECT_NEAR(found.at("average").at("score").get<double>(), sum / 3, 1e-9);
  EXPECT_EQ(found.at("best").at("score"), best);

  // Table 3 of the paper, of two data sets that score alike.
  shop_->write("rte.json", found.dump());
  shop_->write("cb.json", found.dump());
  const Outcome table = run_program(
      {"report", shop_->path("rte.json"), shop_->path("cb.json"), "--ensembles", "--format", "csv"});
  EXPECT_EQ(table.code, 0) << table.err;
  const Words lines = lines_of(table.out);
  ASSERT_EQ(lines.size(), 4U) << table.out;
  const std::string numbers = lines[1].substr(std::string("rte,accuracy").size());
  EXPECT_EQ(lines[2] + lines[3], "cb,accuracy" + numbers + "all,mean" + numbers);
  EXPECT_EQ(run_program({"report", shop_->experiment(), "--ensembles"}).code, 1);

  const Outcome text = run_program(with_prompts("evaluate", {"--ensemble"}));
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("prompt                   accuracy      invalid\na "), HasSubstr("\naverage "),
                    HasSubstr("\nbest: " + found.at("best").at("name").get<std::string>()),
                    HasSubstr("\nensemble "), HasSubstr("\nall agree on ")));
}

TEST_F(Lanes, LabelsAreRankedThroughEachPrompt) {
  const Words rank = {"--set", "evaluate.answers=rank", "--format", "json"};
  const Json together = evaluated(with_prompts("evaluate", rank));
  for (const Json& prompt : together.at("prompts")) {
    const Json one = evaluated(alone("evaluate", prompt.at("name"), rank));
    EXPECT_EQ(prompt.at("metrics"), one.at("metrics")) << prompt;
    EXPECT_EQ(prompt.at("invalid_labels"), 0);
  }
}

// One message on one line, nothing on standard output.
void expect_refused(const Outcome& outcome, int code, const ::testing::Matcher<std::string>& message) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, message);
  EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
}

TEST_F(Lanes, RowsThatNameNoPromptAreRefusedBeforeAnyIsAnswered) {
  std::string good;
  for (int i = 0; i < 600; ++i) good += "{\"input\": \"a song\", \"prompt\": \"a\"}\n";
  const auto known = HasSubstr("known prompts: a, b, c");
  expect_refused(run_program(with_prompts("predict"), good + "{\"input\": \"rain\", \"prompt\": \"d\"}\n"), 1,
                 AllOf(HasSubstr("standard input:601: there is no prompt 'd'"), known));
  expect_refused(run_program(with_prompts("predict"), good + "{\"input\": \"rain\"}\n"), 1,
                 AllOf(HasSubstr("standard input:601: the row has no text in the field 'prompt'"), known));
  expect_refused(run_program(with_prompts("predict"), "{\"input\": \"rain\", \"prompt\": 1}\n"), 1,
                 AllOf(HasSubstr("standard input:1: the row has no text in the field 'prompt'"), known));
  expect_refused(run_program(with_prompts("predict"), "rain\n"), 1,
                 AllOf(HasSubstr("standard input:1: the row is no JSON object"), known));
  const Outcome ranks = run_on_ranks(2, with_prompts("predict", {"--set", "mesh.pipe=2"}),
                                     good + "{\"input\": \"rain\", \"prompt\": \"d\"}\n");
  EXPECT_EQ(ranks.code, 1);
  EXPECT_EQ(ranks.out, "");
  EXPECT_THAT(ranks.err, AllOf(HasSubstr("standard input:601: there is no prompt 'd'"), known));
  const Outcome renamed = run_program(with_prompts("predict", {"--prompt-field", "lane"}),
                                      "{\"input\": \"rain\", \"lane\": \"b\"}\n");
  EXPECT_EQ(renamed.code, 0) << renamed.err;
}

TEST_F(Lanes, PromptsThatDoNotFitAreRefused) {
  const std::string other = shop_->make_model("other.h5", 2);
  for (const std::string verb : {"evaluate", "predict"}) {
    const std::string row = "{\"input\": \"rain\", \"prompt\": \"a\"}\n";
    expect_refused(run_program(with_prompts(verb, {"--set", "model.weights=" + other}), row), 2,
                   AllOf(HasSubstr("a/best.h5: was trained on another base model"), HasSubstr("other.h5")));
    expect_refused(run_program({verb, shop_->experiment(), "--prompt", "x=" + shop_->path("a"), "--prompt",
                                "x=" + shop_->path("b")},
                               row),
                   2, HasSubstr("there is a prompt of the name 'x' already"));
    expect_refused(run_program({verb, shop_->experiment(), "--prompt", "a=" + shop_->path("none.h5")}, row),
                   1, HasSubstr("none.h5"));
    expect_refused(run_program({verb, shop_->experiment(), "--prompt", "a=" + shop_->model()}, row), 1,
                   HasSubstr("model.h5: is no checkpoint of a run"));
    expect_refused(run_program(with_prompts(verb, {"--set", "method={name: model_tuning}"}), row), 2,
                   HasSubstr("method.name is model_tuning, but only prompts in front of the input"));
    EXPECT_EQ(run_program(with_prompts(verb, {"--checkpoint", shop_->path("a/best.h5")}), row).code, 2);
  }
  const Outcome tuned = run_program({"train", shop_->experiment(), "--set", "method={name: model_tuning}",
                                     "--set", "output=" + shop_->path("tuned")});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  expect_refused(run_program(with_prompts("evaluate", {"--prompt", "tuned=" + shop_->path("tuned")})), 2,
                 HasSubstr("tuned/best.h5: the method of the run is model_tuning"));
  expect_refused(run_program({"evaluate", shop_->experiment(), "--ensemble"}), 2,
                 HasSubstr("--ensemble: 0 --prompt"));
  EXPECT_FALSE(std::filesystem::exists(shop_->path("run/best.h5"))) << "the experiment's own run is not used";
}

// Rows that were trained behind the input mean nothing in front of it.
TEST_F(Lanes, PromptsAreUsedWhereTheyWereTrained) {
  const std::string behind = "text.template='{input}{prompt}'", output = "output=" + shop_->path("behind");
  const Outcome trained = run_program({"train", shop_->experiment(), "--set", behind, "--set", output});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string file = shop_->path("behind/best.h5");
  const auto refusal =
      AllOf(HasSubstr("behind/best.h5: its prompt was trained at the places of text.template: "
                      "'{input}{prompt}'"),
            HasSubstr("the experiment has text.template: '{input}'"));
  expect_refused(run_program({"evaluate", shop_->experiment(), "--prompt", "x=" + file}), 2, refusal);
  expect_refused(run_program({"evaluate", shop_->experiment(), "--checkpoint", file}), 2, refusal);
  expect_refused(run_program({"predict", shop_->experiment(), "--prompt", "x=" + file},
                             "{\"input\": \"rain\", \"prompt\": \"x\"}\n"),
                 2, refusal);
  for (const char* use : {"--prompt", "--checkpoint"})
    EXPECT_EQ(run_program({"evaluate", shop_->experiment(), use, file, "--set", behind}).code, 0) << use;
  // Other words around the same places are another experiment, not another prompt.
  EXPECT_EQ(run_program({"evaluate", shop_->experiment(), "--checkpoint", file, "--set",
                         "text.template='so {input}{prompt:4}'"})
                .code,
            0);
  for (const std::string name : {"prompt.npy", "prompt.safetensors"}) {
    expect_refused(
        run_program({"export", file, shop_->path(name)}), 2,
        AllOf(HasSubstr("behind/best.h5"), HasSubstr("'{input}{prompt}'"), HasSubstr("in front of")));
    EXPECT_FALSE(std::filesystem::exists(shop_->path(name)));
  }
}

// A mixture of two tasks, and the text of an experiment with one task or both.
std::string two_tasks(const Workshop& shop, const std::string& task) {
  std::filesystem::create_directories(shop.path("data/COPA"));
  std::filesystem::create_directories(shop.path("data/CB"));
  std::string copa, cb;
  for (int i = 0; i < 6; ++i) {
    copa +=
        Json{{"premise", "the cold rain"}, {"choice1", "a song"}, {"choice2", "number " + std::to_string(i)},
             {"question", "cause"},        {"label", i % 2},      {"idx", i}}
            .dump() +
        "\n";
    cb += Json{{"premise", "a warm day " + std::to_string(i)},
               {"hypothesis", "the night"},
               {"label", i % 2 == 0 ? "entailment" : "neutral"},
               {"idx", i}}
              .dump() +
          "\n";
  }
  for (const char* split : {"train", "val"}) {
    shop.write(std::string("data/COPA/") + split + ".jsonl", copa);
    shop.write(std::string("data/CB/") + split + ".jsonl", cb);
  }
  const auto one = [&](const std::string& name) {
    return "{name: superglue/" + name + ", path: " + shop.path("data") + "}";
  };
  const std::string both =
      "{name: mixture, prefix: false, tasks: [{task: " + one("copa") + "}, {task: " + one("cb") + "}]}";
  return "task=" + (task == "both" ? both : one(task));
}

const Words kLong = {"--set", "text.max_input=96",
                     "--set", "text.max_target=24",
                     "--set", "train.micro_batch_tokens=1024",
                     "--set", "evaluate.batch_tokens=1024"};

Words on_tasks(const Workshop& shop, const std::string& verb, const std::string& task, const Words& more) {
  Words out = {verb, shop.experiment(), "--set", two_tasks(shop, task)};
  out.insert(out.end(), kLong.begin(), kLong.end());
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

TEST_F(Lanes, RowsOfAMixtureGoThroughThePromptsOfTheirTasks) {
  Words together = {"--by-task", "--format", "json"};
  std::map<std::string, Json> alone;
  for (const std::string task : {"cb", "copa"}) {
    const Words own = {"--set", "output=" + shop_->path(task), "--set",
                       task == "cb" ? "method.length=6" : "method.length=3"};
    const Outcome trained = run_program(on_tasks(*shop_, "train", task, own));
    ASSERT_EQ(trained.code, 0) << trained.err;
    Words score = own;
    score.insert(score.end(), {"--format", "json"});
    alone[task] = evaluated(on_tasks(*shop_, "evaluate", task, score)).at("metrics");
    together.insert(together.end(), {"--prompt", task + "=" + shop_->path(task)});
  }
  const auto check = [&](const Words& arguments, int ranks) {
    const Json found = evaluated(on_tasks(*shop_, "evaluate", "both", arguments), ranks);
    EXPECT_EQ(found.at("examples"), 12);
    for (const auto& [task, metrics] : alone)
      for (const auto& [metric, value] : metrics.items())
        EXPECT_EQ(found.at("metrics").at("superglue/" + task + "/" + metric), value) << metric;
  };
  check(together, 1);
  Words meshed = together;
  meshed.insert(meshed.end(), {"--set", "mesh={pipe: 2}"});
  check(meshed, 2);
  const Words one = {"--by-task", "--prompt", "cb=" + shop_->path("cb")};
  expect_refused(
      run_program(on_tasks(*shop_, "evaluate", "both", one)), 2,
      HasSubstr("there are rows of the task superglue/copa, but no prompt 'copa': add --prompt copa=PATH"));
  expect_refused(run_program(on_tasks(*shop_, "evaluate", "both", {"--by-task"})), 2, HasSubstr("--by-task"));
}

// The paper's second baseline: one model for all tasks.
TEST_F(Lanes, OneModelIsTunedOnAMixture) {
  const Words tuned = {"--set", "method={name: model_tuning}",
                       "--set", "output=" + shop_->path("multi"),
                       "--set", "train.steps=4"};
  const Outcome outcome = run_program(on_tasks(*shop_, "train", "both", tuned));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json record = Json::parse(shop_->read("multi/record.json"));
  EXPECT_NE(record.at("base_sha256_before"), record.at("base_sha256_after")) << "all of it is trained";
  Words score = tuned;
  score.insert(score.end(), {"--format", "json"});
  const Json found = evaluated(on_tasks(*shop_, "evaluate", "both", score));
  EXPECT_EQ(found.at("examples"), 12);
  for (const char* metric : {"superglue/copa/accuracy", "superglue/cb/accuracy", "mean"})
    EXPECT_TRUE(found.at("metrics").contains(metric)) << metric << found;
  // A limit counts for each task: of all rows together it would leave whole tasks out of the mean.
  for (const char* limit : {"evaluate.max_examples=4", "text.dev_rows=4"}) {
    Words few = score;
    few.insert(few.end(), {"--set", limit});
    const Json of_each = evaluated(on_tasks(*shop_, "evaluate", "both", few));
    EXPECT_EQ(of_each.at("examples"), 8) << limit;
    for (const char* task : {"superglue/copa/accuracy", "superglue/cb/accuracy"})
      EXPECT_TRUE(of_each.at("metrics").contains(task)) << limit << of_each;
  }
}

TEST_F(Lanes, PTuningIsServedBesidePromptTuning) {
  const Words own = {"--set", "method={name: p_tuning, length: 3}", "--set", "output=" + shop_->path("p")};
  Words train = {"train", shop_->experiment()}, score = {"evaluate", shop_->experiment(), "--format", "json"};
  train.insert(train.end(), own.begin(), own.end());
  score.insert(score.end(), own.begin(), own.end());
  const Outcome outcome = run_program(train);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json together =
      evaluated(with_prompts("evaluate", {"--format", "json", "--prompt", "p=" + shop_->path("p")}));
  EXPECT_EQ(together.at("prompts").at(3).at("metrics"), evaluated(score).at("metrics"));
  EXPECT_EQ(together.at("prompts").at(3).at("length"), 3);
}

}  // namespace
}  // namespace trimtab::testing
