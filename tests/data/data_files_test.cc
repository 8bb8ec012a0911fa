// SPDX-License-Identifier: Apache-2.0
#include "data/data_files.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "data/packed.h"
#include "data/stable_hash.h"
#include "data/task_maker.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Published kQnli{"QNLI", "https://example.org/data/QNLIv2.zip"};

std::string found(const TempFolder& folder, const std::string& path = "") {
  return find_data_file("task t", path.empty() ? folder.path() : folder.file(path), kQnli,
                        {"dev.tsv", "dev.json"})
      .text;
}

TEST(DataFiles, WhereverPeopleHaveThem) {
  const TempFolder folder;
  folder.write("QNLIv2.zip", stored_zip({{"QNLI/", ""}, {"QNLI/dev.tsv", "archive of the address"}}));
  EXPECT_EQ(found(folder), "archive of the address");
  folder.write("QNLI.zip",
               stored_zip({{"__MACOSX/QNLI/._dev.tsv", "x"}, {"dev.tsv", "archive of the folder"}}));
  EXPECT_EQ(found(folder), "archive of the folder");
  folder.write("QNLI/dev.tsv.gz", gzip("packed in the folder"));
  EXPECT_EQ(found(folder), "packed in the folder");
  folder.write("QNLI/dev.tsv", "in the folder");
  EXPECT_EQ(found(folder), "in the folder");
  folder.write("dev.tsv", "right here");
  EXPECT_EQ(found(folder), "right here");
  EXPECT_EQ(found(folder, "QNLI"), "in the folder");
}

TEST(DataFiles, OneArchiveOfManySets) {
  const TempFolder folder;
  folder.write("all.zip",
               stored_zip({{"glue/RTE/dev.tsv", "another set"}, {"glue/QNLI/dev.json", "the set"}}));
  EXPECT_EQ(found(folder, "all.zip"), "the set");
}

// GLUE and SuperGLUE both have an RTE.
TEST(DataFiles, SuitesSideBySideInOneFolder) {
  const TempFolder folder;
  const Published rte{"RTE", "https://example.org/RTE.zip", "superglue"};
  const auto text = [&] { return find_data_file("task t", folder.path(), rte, {"train.jsonl"}).text; };
  folder.write("RTE.zip", stored_zip({{"RTE/train.tsv", "of GLUE"}}));
  EXPECT_THAT(message_of<MissingData>([&] { text(); }), HasSubstr("superglue/RTE/train.jsonl"));
  folder.write("combined.zip",
               stored_zip({{"CB/train.jsonl", "another set"}, {"RTE/train.jsonl", "of all"}}));
  EXPECT_EQ(text(), "of all");
  std::filesystem::remove(folder.file("combined.zip"));
  folder.write("superglue/RTE.zip", stored_zip({{"RTE/train.jsonl", "packed in the suite"}}));
  EXPECT_EQ(text(), "packed in the suite");
  folder.write("superglue/RTE/train.jsonl", "in the suite");
  EXPECT_EQ(text(), "in the suite");
}

TEST(DataFiles, MissingFilesAreNamedWithWhereTheyArePublished) {
  const TempFolder folder;
  folder.write("QNLI.zip", stored_zip({{"QNLI/train.tsv", "x"}}));
  EXPECT_THAT(
      message_of<ConfigError>([&] { found(folder); }),
      AllOf(HasSubstr("task t: dev.tsv or dev.json is not there"), HasSubstr(folder.file("QNLI/dev.tsv")),
            HasSubstr("QNLI.zip:dev.tsv"), HasSubstr("published at https://example.org/data/QNLIv2.zip")));
  EXPECT_THAT(
      message_of<ConfigError>([&] { task_of("superglue/cb", "path: " + folder.path())->load("train"); }),
      HasSubstr("https://dl.fbaipublicfiles.com/glue/superglue/data/v2/CB.zip"));
  // An official file that is not there is a set that lacks a split; one that somebody named is not.
  EXPECT_THROW(task_of("superglue/cb", "path: " + folder.path())->load("test"), MissingData);
  const auto named = task_of("superglue/cb", "path: " + folder.path() + "\ntest: mine.jsonl");
  try {
    named->load("test");
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(dynamic_cast<const MissingData*>(&error), nullptr);
    EXPECT_THAT(error.what(), HasSubstr("mine.jsonl is not there"));
  }
  EXPECT_THAT(
      message_of<ConfigError>([&] { task_of("squad/v1.1", "path: " + folder.path())->load("train"); }),
      AllOf(HasSubstr("train-v1.1.json is not there"), HasSubstr("rajpurkar.github.io")));
}

std::string rows(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += "{\"premise\": \"P\", \"hypothesis\": \"H" + std::to_string(i) +
            "\", \"label\": \"entailment\", \"idx\": " + std::to_string(i) + "}\n";
  return text;
}

TEST(PublishedTask, OtherFilesAndFirstRows) {
  const TempFolder folder;
  folder.write("RTE/dev32.jsonl", rows(5));
  const std::string path = "path: " + folder.path() + "\n";
  const auto task = task_of("superglue/rte", path + "validation: dev32.jsonl\nmax_rows: 2");
  EXPECT_EQ(task->load("validation").size(), 2u);
  EXPECT_EQ(task->load("validation")[1].id, "validation/1");
  EXPECT_THAT(task->splits(), ElementsAre("train", "validation", "test"));
  EXPECT_THAT(task_of("superglue/axb", path)->splits(), ElementsAre("test"));
  EXPECT_THAT(message_of<ConfigError>([&] { task->load("dev"); }),
              HasSubstr("has no split 'dev'; known: train, validation, test"));
  EXPECT_THAT(message_of<ConfigError>([] { task_of("superglue/rte", "path: x\nmax_rows: -1"); }),
              HasSubstr("max_rows"));
  EXPECT_THAT(message_of<ConfigError>([] { task_of("superglue/rte", "path: ''"); }), HasSubstr("path"));
}

TEST(PublishedTask, TrainingShareOfTheValidationFile) {
  const TempFolder folder;
  folder.write("val.jsonl", rows(1000));
  const std::string path = "path: " + folder.path() + "\n";
  const auto task = task_of("superglue/rte", path + "train_percent: 80");
  std::set<std::string> inputs;
  std::size_t trained = 0;
  for (const char* split : {"train", "validation"}) {
    const auto examples = task->load(split);
    for (const TextExample& example : examples) EXPECT_TRUE(inputs.insert(example.input).second);
    if (split == std::string("train")) trained = examples.size();
    EXPECT_EQ(examples[0].id.substr(0, examples[0].id.find('/')), split);
  }
  EXPECT_EQ(inputs.size(), 1000u);
  EXPECT_NEAR(static_cast<double>(trained), 800, 50);
  EXPECT_THAT(
      message_of<ConfigError>([&] { task_of("superglue/rte", path + "train_percent: 80\ntrain: a"); }),
      HasSubstr("train and train_percent"));
  EXPECT_THAT(message_of<ConfigError>([&] { task_of("superglue/axb", path + "train_percent: 80"); }),
              HasSubstr("needs a validation file"));
}

// The splits of results that were published rest on these values.
TEST(StableHash, NeverChanges) {
  EXPECT_EQ(stable_hash(""), 0xf52a15e9a9b5e89bu);
  EXPECT_EQ(stable_hash("noun:01541618"), 0x137c7a8b70dfcu);
}

}  // namespace
}  // namespace trimtab
