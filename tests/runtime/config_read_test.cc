// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime/config.h"
#include "runtime/config_fixture.h"

namespace trimtab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

FixtureConfig parsed(const std::string& more, const std::vector<std::string>& overrides = {}) {
  return parse_config<FixtureConfig>(kFixtureText + more, "run.yaml", overrides);
}

std::string error_of(const std::string& more, const std::vector<std::string>& overrides = {}) {
  return config_error([&] { parsed(more, overrides); });
}

// The message for one value of one key of `train`, without the place, the path and the colon.
std::string value_error(const std::string& key, const std::string& value) {
  const std::string message = error_of(fmt::format("train:\n  {}: {}\n", key, value));
  const std::string front = fmt::format("run.yaml:6: train.{}: ", key);
  return message.starts_with(front) ? message.substr(front.size()) : message;
}

TEST(ConfigRead, DefaultsHoldWhereTheFileIsSilent) {
  const FixtureConfig config = parsed("");
  EXPECT_EQ(config.name, "small");
  EXPECT_EQ(config.model.weights, "a.h5");
  EXPECT_EQ(config.train.steps, 30000);
  EXPECT_THAT(config.train.lengths, ElementsAre(1, 20));
  EXPECT_FALSE(config.train.clip);
  EXPECT_FALSE(config.spare);
  EXPECT_EQ(config.method.name(), "lora");
  EXPECT_EQ(config.optimizer.name(), "adafactor");
  EXPECT_FALSE(config.teacher.present());
}

TEST(ConfigRead, EveryType) {
  const FixtureConfig config = parsed(R"(train:
  steps: 1e3
  batch: +4
  seed: -9223372036854775808
  dropout: .5
  shuffle: false
  precision: bfloat16
  lengths: [5]
  betas:
    - 1
    - 1e-3
  metrics: [f1, accuracy]
  clip: 1
  note: two words
stages:
  - {layers: 2}
  - layers: 3
    device: "0"
spare: {layers: 4}
)");
  EXPECT_EQ(config.train.steps, 1000);
  EXPECT_EQ(config.train.batch, 4);
  EXPECT_EQ(config.train.seed, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(config.train.dropout, 0.5);
  EXPECT_FALSE(config.train.shuffle);
  EXPECT_EQ(config.train.precision, "bfloat16");
  EXPECT_THAT(config.train.lengths, ElementsAre(5)) << "a list replaces its default";
  EXPECT_THAT(config.train.betas, ElementsAre(1, 1e-3));
  EXPECT_THAT(config.train.metrics, ElementsAre("f1", "accuracy"));
  EXPECT_EQ(config.train.clip, 1.0);
  EXPECT_EQ(config.train.note, "two words");
  EXPECT_THAT(config.stages, ElementsAre(FixtureStage{2, "cpu"}, FixtureStage{3, "0"}));
  EXPECT_EQ(config.spare, (FixtureStage{4, "cpu"}));
}

TEST(ConfigRead, NullIsForOptionalFieldsOnly) {
  const FixtureConfig config = parsed("train: {clip: null, note: ~}\nspare: null\n", {"train.clip=null"});
  EXPECT_FALSE(config.train.clip);
  EXPECT_FALSE(config.train.note);
  EXPECT_FALSE(config.spare);
  EXPECT_EQ(value_error("steps", "null"), "expected a whole number of at least 0, found nothing");
  EXPECT_EQ(value_error("precision", ""), "expected one of float32, bfloat16, found nothing");
  EXPECT_EQ(error_of("train:\n"),
            "run.yaml:5: train: expected a section, found nothing; leave the key out, or write {} "
            "for the defaults");
}

TEST(ConfigRead, WholeNumbers) {
  EXPECT_EQ(parsed("train: {steps: 2.0}").train.steps, 2);
  const std::string expected = "expected a whole number of at least 0, found ";
  EXPECT_EQ(value_error("steps", "abc"), expected + "the text 'abc'");
  EXPECT_EQ(value_error("steps", "1.5"), expected + "the number 1.5; it has a fraction");
  EXPECT_EQ(value_error("steps", "1e-3"), expected + "the number 1e-3; it has a fraction");
  EXPECT_EQ(value_error("steps", "1e19"), expected + "the number 1e19; write all its digits");
  EXPECT_EQ(value_error("steps", "9223372036854775808"),
            expected + "the number 9223372036854775808; it does not fit in 64 bits");
  EXPECT_EQ(value_error("steps", "08"), expected + "08; write 8");
  EXPECT_EQ(value_error("steps", "-007"), expected + "-007; write -7");
  EXPECT_EQ(value_error("steps", "0x10"), expected + "0x10; write it in decimal: 16");
  EXPECT_EQ(value_error("steps", "1_000"), expected + "the text '1_000'; write 1000");
  EXPECT_EQ(value_error("steps", "1,000"), expected + "the text '1,000'");
  EXPECT_EQ(value_error("steps", "'12'"), expected + "the text '12'; remove the quotes");
  EXPECT_EQ(value_error("steps", "true"), expected + "true");
  EXPECT_EQ(value_error("steps", "[1]"), expected + "a list");
  EXPECT_EQ(value_error("steps", "{a: 1}"), expected + "a section");
  EXPECT_EQ(value_error("steps", "12 "), "nothing was thrown");
  EXPECT_EQ(value_error("steps", "12k"), expected + "the text '12k'");
  EXPECT_EQ(value_error("steps", "-1"), expected + "the number -1");
  EXPECT_EQ(value_error("batch", "0"), "expected a whole number of at least 1 (rows), found the number 0");
}

TEST(ConfigRead, Numbers) {
  const std::string expected = "expected a number from 0 to 1, found ";
  EXPECT_EQ(value_error("dropout", "1.01"), expected + "the number 1.01");
  EXPECT_EQ(value_error("dropout", "-0.1"), expected + "the number -0.1");
  EXPECT_EQ(value_error("dropout", ".nan"), expected + ".nan; the number must be finite");
  EXPECT_EQ(value_error("dropout", "1e999"),
            expected + "the number 1e999; it is beyond the range of 64-bit floating point");
  EXPECT_EQ(value_error("dropout", "00.5"), expected + "00.5; write 0.5");
  EXPECT_EQ(value_error("dropout", "0,5"), expected + "the text '0,5'");
  EXPECT_EQ(value_error("dropout", "1e"), expected + "the text '1e'");
  EXPECT_EQ(value_error("dropout", "."), expected + "the text '.'");
  EXPECT_EQ(value_error("dropout", "10%"), expected + "the text '10%'");
  EXPECT_EQ(value_error("clip", "0"), "expected a number above 0, or null, found the number 0");
  EXPECT_EQ(value_error("clip", "none"), "expected a number above 0, or null, found the text 'none'");
}

TEST(ConfigRead, TruthValues) {
  EXPECT_EQ(value_error("shuffle", "yes"), "expected true or false, found the text 'yes'; write true");
  EXPECT_EQ(value_error("shuffle", "Off"), "expected true or false, found the text 'Off'; write false");
  EXPECT_EQ(value_error("shuffle", "True"), "expected true or false, found True; write true");
  EXPECT_EQ(value_error("shuffle", "1"), "expected true or false, found the number 1; write true");
  EXPECT_EQ(value_error("shuffle", "'true'"), "expected true or false, found the text 'true'; write true");
  EXPECT_EQ(value_error("shuffle", "maybe"), "expected true or false, found the text 'maybe'");
}

TEST(ConfigRead, Text) {
  EXPECT_EQ(value_error("note", "12"),
            "expected text, or null, found the number 12; for text, put it in quotes: \"12\"");
  EXPECT_EQ(value_error("note", "08"),
            "expected text, or null, found 08; for text, put it in quotes: \"08\"");
  EXPECT_EQ(value_error("note", "true"),
            "expected text, or null, found true; for text, put it in quotes: \"true\"");
  EXPECT_EQ(value_error("note", "[a]"),
            "expected text, or null, found a list; text that begins with { or [ needs quotes around it");
  for (const char* text : {"yes", "1.2.3", "12k", "2024-05-01", "1_000", "e5"}) {
    EXPECT_EQ(parsed(fmt::format("train: {{note: {}}}", text)).train.note, text);
  }
  EXPECT_EQ(parsed("train: {note: '12'}").train.note, "12");
  EXPECT_EQ(parsed("train: {note: ''}").train.note, "");
  EXPECT_EQ(error_of("", {"model.weights=''"}),
            "--set: model.weights: expected text of at least 1 characters, found the text ''");
}

TEST(ConfigRead, Choices) {
  EXPECT_EQ(value_error("precision", "bflaot16"),
            "expected one of float32, bfloat16, found 'bflaot16'; did you mean 'bfloat16'?");
  EXPECT_EQ(value_error("precision", "int8"), "expected one of float32, bfloat16, found 'int8'");
  EXPECT_EQ(error_of("", {"method.name=promt_tuning"}),
            "--set: method.name: expected one of prompt_tuning, lora, found 'promt_tuning'; did you mean "
            "'prompt_tuning'?");
}

TEST(ConfigRead, Lists) {
  EXPECT_EQ(value_error("lengths", "5"),
            "expected a list of whole numbers, each of at least 1, at least 1 of them, found the number 5; "
            "write [5]");
  EXPECT_EQ(value_error("lengths", "[]"),
            "expected a list of whole numbers, each of at least 1, at least 1 of them, found 0 items");
  EXPECT_EQ(error_of("train: {lengths: [1, 0]}"),
            "run.yaml:5: train.lengths.1: expected a whole number of at least 1, found the number 0");
  EXPECT_EQ(error_of("train:\n  metrics:\n  - f1\n  - f2\n"),
            "run.yaml:8: train.metrics.1: expected one of accuracy, f1, found 'f2'; did you mean 'f1'?");
  EXPECT_THAT(parsed("train: {metrics: []}").train.metrics, IsEmpty());
  EXPECT_EQ(error_of("stages: {layers: 1}"),
            "run.yaml:5: stages: expected a list of sections, found a section");
  EXPECT_EQ(error_of("stages:\n- 3\n"), "run.yaml:6: stages.0: expected a section, found the number 3");
  EXPECT_EQ(error_of("stages:\n- layers: 1\n- device: cpu\n"),
            "run.yaml:7: stages.1.layers: the key is missing; expected a whole number of at least 1: Layers "
            "of the stage.");
  EXPECT_EQ(error_of("spare: {}"),
            "run.yaml:5: spare.layers: the key is missing; expected a whole number of at least 1: Layers of "
            "the stage.");
  EXPECT_EQ(error_of("spare: 3"), "run.yaml:5: spare: expected a section, or null, found the number 3");
}

TEST(ConfigRead, MissingKeys) {
  EXPECT_EQ(config_error([] { parse_config<FixtureConfig>("model: {weights: a.h5}", "run.yaml"); }),
            "run.yaml:1: name: the key is missing; expected text: Name of the run.");
  EXPECT_EQ(config_error([] { parse_config<FixtureConfig>("name: x\n", "run.yaml"); }),
            "run.yaml:1: model.weights: the key is missing; expected text of at least 1 characters: File of "
            "weights.")
      << "a required field of a section that is not there";
  EXPECT_EQ(config_error([] { parse_config<FixtureConfig>("name: x\nmodel: {weights: a}\n", "run.yaml"); }),
            "run.yaml:1: method: the key is missing; expected a section whose name is one of prompt_tuning, "
            "lora: What is "
            "tuned.");
  EXPECT_EQ(error_of("teacher: {weights: b.h5}"),
            "run.yaml:5: teacher.name: the key is missing; expected a section with a name");
  EXPECT_EQ(
      error_of("", {"method=lora"}),
      "--set: method: expected a section whose name is one of prompt_tuning, lora, found the text 'lora'");
}

TEST(ConfigRead, UnknownKeysNameTheNearest) {
  EXPECT_EQ(error_of("train:\n  bacth: 3\n"), "run.yaml:6: train.bacth: unknown key; did you mean batch?");
  EXPECT_EQ(error_of("trian: {}\n"), "run.yaml:5: trian: unknown key; did you mean train?");
  EXPECT_EQ(error_of("steps: 3\n"), "run.yaml:5: steps: unknown key; did you mean train.steps?")
      << "the right name in the wrong section";
  EXPECT_EQ(error_of("model: {weights: a, zzz: 1}"),
            "run.yaml:5: model: the key is given twice; the first is at run.yaml:2");
  EXPECT_EQ(error_of("", {"model.temperature=1"}),
            "--set: model.temperature: unknown key; known here: weights, mesh");
}

TEST(ConfigRead, ForeignKeysNameOurs) {
  EXPECT_EQ(error_of("per_device_train_batch_size: 8\n"),
            "run.yaml:5: per_device_train_batch_size: unknown key; did you mean train.batch?");
  EXPECT_EQ(error_of("train:\n  max_steps: 8\n"),
            "run.yaml:6: train.max_steps: unknown key; did you mean train.steps?");
  EXPECT_EQ(error_of("", {"train.learning-rate=1"}),
            "--set: train.learning-rate: unknown key; did you mean optimizer.learning_rate?")
      << "what a subtree holds is not known yet";
  EXPECT_THAT(error_of("tensor_model_parallel_size: 2\n"),
              HasSubstr("unknown key; known here: name, model, train"))
      << "this config has no key mesh.tensor, so it is not offered";
}

TEST(ConfigRead, OverridesGoThroughTheSameReader) {
  const FixtureConfig config = parsed("train: {steps: 5}\nstages: [{layers: 1}]",
                                      {"train.steps=7", "train.steps=1e2", "model.mesh.data=2",
                                       "stages.0.layers=9", "train.lengths=[3, 4]", "name='12'"});
  EXPECT_EQ(config.train.steps, 100) << "the last one holds";
  EXPECT_EQ(config.model.mesh.data, 2);
  EXPECT_EQ(config.stages[0].layers, 9);
  EXPECT_THAT(config.train.lengths, ElementsAre(3, 4));
  EXPECT_EQ(config.name, "12");
  EXPECT_EQ(error_of("", {"name=12"}),
            "--set: name: expected text, found the number 12; for text, put it in quotes: \"12\"");
  EXPECT_EQ(
      error_of("", {"name={input}"}),
      "--set: name: expected text, found a section; text that begins with { or [ needs quotes around it");
  EXPECT_EQ(error_of("", {"train.dropout=2"}),
            "--set: train.dropout: expected a number from 0 to 1, found the number 2");
}

TEST(ConfigRead, Files) {
  const auto path = std::filesystem::path(testing::TempDir()) / "trimtab_config_read_test.yaml";
  std::ofstream(path) << kFixtureText << "train: {steps: -4}\n";
  EXPECT_EQ(load_config<FixtureConfig>(path.string(), {"train.steps=4"}).train.steps, 4);
  EXPECT_EQ(config_error([&] { load_config<FixtureConfig>(path.string()); }),
            path.string() + ":5: train.steps: expected a whole number of at least 0, found the number -4");
  std::filesystem::remove(path);
}

TEST(Subtrees, ReadTheirOptionsStrictly) {
  FixtureConfig config = parsed("", {"method={name: lora, rank: 4, targets: [k]}"});
  const auto lora = read<FixtureLora>(config.method);
  EXPECT_EQ(lora.rank, 4);
  EXPECT_EQ(lora.alpha, 16);
  EXPECT_THAT(lora.targets, ElementsAre("k"));

  const auto error = [](const std::string& method) {
    return config_error([&] {
      Subtree options =
          parse_config<FixtureConfig>("name: x\nmodel: {weights: a}\nmethod: " + method, "run.yaml").method;
      read<FixtureLora>(options);
    });
  };
  EXPECT_EQ(error("{name: lora, rnk: 4}"), "run.yaml:3: method.rnk: unknown key; did you mean rank?");
  EXPECT_EQ(error("\n  name: lora\n  rank: 0"),
            "run.yaml:5: method.rank: expected a whole number of at least 1, found the number 0");
  EXPECT_EQ(error("{name: lora, lora_alpha: 1}"),
            "run.yaml:3: method.lora_alpha: unknown key; did you mean method.alpha?");
  EXPECT_EQ(error("{name: lora, max_steps: 1}"),
            "run.yaml:3: method.max_steps: unknown key; did you mean train.steps?");
  EXPECT_EQ(error("{name: lora, length: 1}"),
            "run.yaml:3: method.length: unknown key; known here: name, rank, alpha, targets");
}

TEST(Subtrees, DefaultNameAndOwnNameField) {
  FixtureConfig config = parsed("optimizer: {learning_rate: 1}");
  EXPECT_EQ(config.optimizer.name(), "adafactor");
  const auto options = read<FixtureAdafactor>(config.optimizer);
  EXPECT_EQ(options.learning_rate, 1);
  EXPECT_EQ(options.name, "adafactor");
  FixtureConfig silent = parsed("");
  EXPECT_EQ(read<FixtureAdafactor>(silent.optimizer).learning_rate, 0.3);
}

TEST(Subtrees, SayWhereTheyAre) {
  FixtureConfig config = parsed("", {"method.rank=4"});
  EXPECT_EQ(config.method.where(), "run.yaml:4: method.name");
  EXPECT_EQ(config.method.where("rank"), "--set: method.rank");
  EXPECT_EQ(config.method.where("alpha"), "run.yaml:4: method.alpha");
  EXPECT_EQ(config.optimizer.where("learning_rate"), "run.yaml:1: optimizer.learning_rate");
  EXPECT_EQ(config_error([&] { config.method.refuse("rank", "rank 4 is above the width 2"); }),
            "--set: method.rank: rank 4 is above the width 2");
}

TEST(Subtrees, FromTextForTests) {
  Subtree options = Subtree::parse("{name: lora, rank: 2}", "method");
  EXPECT_EQ(options.name(), "lora");
  EXPECT_EQ(read<FixtureLora>(options).rank, 2);
  EXPECT_EQ(options.where("rank"), "options:1: method.rank");
  EXPECT_EQ(config_error([] { Subtree::parse("{rank: 2}", "method"); }),
            "options:1: method.name: the key is missing; expected a section with a name");
}

struct TwiceDescribed {
  bool a = false;
};
template <class V>
void describe(V& v, TwiceDescribed& s) {
  v.field("a", s.a, "One.");
  v.field("a", s.a, "Two.");
}

TEST(ConfigRead, TheSameKeyDescribedTwiceIsOurFault) {
  EXPECT_THROW(parse_config<TwiceDescribed>("a: true", "run.yaml"), Error);
}

}  // namespace
}  // namespace trimtab
