// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "runtime/config.h"
#include "runtime/config_fixture.h"

namespace trimtab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

FixtureConfig parsed(const std::vector<std::string>& overrides = {}) {
  return parse_config<FixtureConfig>(kFixtureText, "run.yaml", overrides);
}

TEST(ConfigDump, HoldsEveryFieldInTheOrderOfItsDescription) {
  FixtureConfig config = parsed({"stages=[{layers: 1}, {layers: 2}]", "train.note='12'", "method.rank=4"});
  read<FixtureLora>(config.method);
  EXPECT_EQ(dump_config(config), R"(name: small
model:
  weights: a.h5
  mesh:
    data: 1
    tensor: 1
train:
  steps: 30000
  batch: 32
  seed: 1
  dropout: 0.1
  shuffle: true
  precision: float32
  lengths: [1, 20]
  betas: [0.9, 0.999]
  metrics: []
  clip: null
  note: "12"
stages:
  - layers: 1
    device: cpu
  - layers: 2
    device: cpu
spare: null
method:
  name: lora
  rank: 4
  alpha: 16
  targets: [q, v]
optimizer:
  name: adafactor
)");
}

TEST(ConfigDump, ReadsBackToTheSameDump) {
  FixtureConfig config = parsed({"train.dropout=0.30000000000000004", "train.seed=9007199254740993",
                                 "spare.layers=3", "train.note=\"a: #b\"", "optimizer.learning_rate=1e-05"});
  read<FixtureLora>(config.method);
  read<FixtureAdafactor>(config.optimizer);
  const std::string text = dump_config(config);
  FixtureConfig again = parse_config<FixtureConfig>(text, "dump.yaml");
  EXPECT_EQ(again.train.seed, 9007199254740993);
  EXPECT_EQ(again.train.dropout, config.train.dropout);
  EXPECT_EQ(again.train.note, "a: #b");
  EXPECT_EQ(dump_config(again), text);
  read<FixtureLora>(again.method);
  read<FixtureAdafactor>(again.optimizer);
  EXPECT_EQ(dump_config(again), text);
  EXPECT_EQ(dump_config(parse_config<FixtureConfig>(dump_config_json(config), "dump.json")), text)
      << "JSON is YAML too";
}

TEST(ConfigDump, SubtreesShowWhatWasWrittenUntilTheyAreRead) {
  FixtureConfig config = parsed({"optimizer.learning_rate=1", "method={rank: 3, name: lora}"});
  EXPECT_THAT(dump_config(config), HasSubstr("method:\n  name: lora\n  rank: 3\n"));
  EXPECT_THAT(dump_config(config), HasSubstr("optimizer:\n  name: adafactor\n  learning_rate: 1\n"));
  read<FixtureLora>(config.method);
  EXPECT_THAT(dump_config(config), HasSubstr("method:\n  name: lora\n  rank: 3\n  alpha: 16\n"));
}

TEST(ConfigDifference, ListsTheLeavesThatDiffer) {
  EXPECT_THAT(difference(parsed(), parsed()), IsEmpty());
  const auto changed = parsed({"train.steps=5", "train.lengths=[1, 2]", "train.clip=1",
                               "stages=[{layers: 7}]", "optimizer.learning_rate=1"});
  EXPECT_THAT(
      difference(parsed(), changed),
      ElementsAre(Difference{"train.steps", "30000", "5"}, Difference{"train.lengths", "[1, 20]", "[1, 2]"},
                  Difference{"train.clip", "null", "1"}, Difference{"stages", "[]", "(absent)"},
                  Difference{"stages.0.layers", "(absent)", "7"},
                  Difference{"stages.0.device", "(absent)", "cpu"},
                  Difference{"optimizer.learning_rate", "(absent)", "1"}));
}

TEST(ConfigReference, HasARowAKey) {
  const std::string table = config_reference<FixtureConfig>();
  EXPECT_THAT(table, testing::StartsWith("| key | expected | default | meaning |\n|---|---|---|---|\n"
                                         "| `name` | text | required | Name of the run. |\n"
                                         "| `model` | section |  | The frozen model. |\n"));
  for (const char* row :
       {"| `model.mesh.tensor` | a whole number from 1 to 64 (ranks) | `1` | Cuts of each layer. |\n",
        "| `train.dropout` | a number from 0 to 1 | `0.1` | Share of activations \\| weights dropped. |\n",
        "| `train.clip` | a number above 0, or null | none | Largest gradient norm. |\n",
        "| `train.betas` | a list of numbers, each from 0 to 1 | `[0.9, 0.999]` | Decay rates. |\n",
        "| `train.metrics` | a list out of accuracy, f1 | `[]` | Scores. |\n",
        "| `stages.N.layers` | a whole number of at least 1 | required | Layers of the stage. |\n",
        "| `spare.device` | text | `cpu` | Where it runs. |\n",
        "| `method` | a section whose name is one of prompt_tuning, lora | required | What is tuned. |\n",
        "| `optimizer` | a section with a name | `adafactor` | How it is tuned. |\n",
        "| `teacher` | a section with a name | none | Another model. |\n"})
    EXPECT_THAT(table, HasSubstr(row));
  EXPECT_THAT(config_reference<FixtureLora>("method"),
              HasSubstr("| `method.rank` | a whole number of at least 1 | `8` |"));
}

// JSON is YAML, so the tree's own reader can check the schema.
TEST(ConfigSchema, SaysWhatTheReaderChecks) {
  const ConfigNode schema = parse_yaml(config_schema<FixtureConfig>("trimtab"), "schema.json");
  const auto at = [&](std::initializer_list<const char*> keys) {
    const ConfigNode* node = &schema;
    for (const char* key : keys) {
      node = node->find(key);
      if (node == nullptr) return std::string("no ") + key;
    }
    return to_flow(*node);
  };
  EXPECT_EQ(at({"title"}), "trimtab");
  EXPECT_EQ(at({"type"}), "object");
  EXPECT_EQ(at({"required"}), "[name, model, method]") << "the model is required since its weights are";
  EXPECT_EQ(at({"additionalProperties"}), "false");
  EXPECT_EQ(at({"properties", "model", "required"}), "[weights]");
  EXPECT_EQ(at({"properties", "model", "properties", "weights", "minLength"}), "1");
  EXPECT_EQ(at({"properties", "train", "properties", "dropout"}),
            "{type: number, minimum: 0, maximum: 1, description: \"Share of activations | weights "
            "dropped.\", default: "
            "0.1}");
  EXPECT_EQ(at({"properties", "train", "properties", "batch", "description"}),
            "\"Rows in a step. Unit: rows.\"");
  EXPECT_EQ(at({"properties", "train", "properties", "lengths", "minItems"}), "1");
  EXPECT_EQ(at({"properties", "train", "properties", "clip", "anyOf"}),
            "[{type: number, exclusiveMinimum: 0}, {type: \"null\"}]");
  EXPECT_EQ(at({"properties", "train", "properties", "precision", "enum"}), "[float32, bfloat16]");
  EXPECT_EQ(at({"properties", "stages", "items", "required"}), "[layers]");
  EXPECT_EQ(at({"properties", "method", "properties", "name", "enum"}), "[prompt_tuning, lora]");
  EXPECT_EQ(at({"properties", "method", "required"}), "[name]");
  EXPECT_EQ(at({"properties", "optimizer", "required"}), "no required");
}

}  // namespace
}  // namespace trimtab
