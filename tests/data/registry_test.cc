// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/registry.h"

#include <gmock/gmock.h>

#include <set>

#include "data/temp_folder.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The least options with which each task can be made; tasks are not loaded here.
Subtree least_options(const std::string& name) {
  std::string least = "path: data/" + name;
  if (name == "jsonl") least = "train: rows.jsonl";
  if (name == "mixture") least = "tasks: [{task: {name: jsonl, train: rows.jsonl}}]";
  if (name == "mrqa") least += "\nset: BioASQ";
  return Subtree::parse("name: " + name + "\n" + least + "\n", "task", "run.yaml");
}

// "superglue_wsc.cc" holds a task of the suite superglue.
TEST(TaskRegistry, EveryFileOfTheFolderIsInTheTable) {
  std::set<std::string> suites, files;
  for (const std::string& name : task_registry().names()) suites.insert(name.substr(0, name.find('/')));
  for (const auto& file : std::filesystem::directory_iterator(TRIMTAB_TASKS_DIR))
    if (file.path().extension() == ".cc" && file.path().stem() != "registry")
      files.insert(file.path().stem().string().substr(0, file.path().stem().string().find('_')));
  EXPECT_EQ(files, suites);
}

TEST(TaskRegistry, EachTaskIsMadeFromYamlAndKnowsItsName) {
  for (const std::string& name : task_registry().names()) {
    Subtree options = least_options(name);
    const auto task = make_task(options);
    EXPECT_EQ(task->name(), name);
    EXPECT_FALSE(task->splits().empty());
    EXPECT_FALSE(task->prefix().empty());
    const auto labels = task->labels();
    EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), labels.size());
    EXPECT_NE(labels.size(), 1u);
  }
}

TEST(TaskRegistry, EachTaskRefusesKeysThatItDoesNotKnow) {
  for (const std::string& name : task_registry().names()) {
    Subtree options = Subtree::parse("name: " + name + "\npath: x\ntrain: y\npaht: z\n", "task", "run.yaml");
    EXPECT_THAT(message_of<ConfigError>([&] { make_task(options); }), HasSubstr("run.yaml:")) << name;
  }
}

TEST(TaskRegistry, OptionsReachTheTask) {
  const TempFolder folder;
  folder.write("train.jsonl",
               "{\"premise\": \"P\", \"hypothesis\": \"H\", \"label\": \"entailment\", \"idx\": 0}\n"
               "{\"premise\": \"P\", \"hypothesis\": \"H\", \"label\": \"entailment\", \"idx\": 1}\n");
  Subtree options = Subtree::parse("name: superglue/rte\npath: " + folder.path() + "\nmax_rows: 1\n", "task");
  EXPECT_EQ(make_task(options)->load("train").size(), 1u);
}

TEST(TaskRegistry, UnknownNameListsTheKnownOnes) {
  Subtree options = Subtree::parse("name: superglue/rta\n", "task", "run.yaml");
  EXPECT_THAT(message_of<ConfigError>([&] { make_task(options); }),
              AllOf(HasSubstr("run.yaml:1: task.name"), HasSubstr("unknown task 'superglue/rta'"),
                    HasSubstr("did you mean 'superglue/rte'?"), HasSubstr("wordnet/lexname")));
}

TEST(TaskRegistry, EachTaskHasAReferenceTable) {
  for (const auto& [name, entry] : task_registry().entries())
    EXPECT_THAT(entry.reference(), HasSubstr("task.")) << name;
}

}  // namespace
}  // namespace trimtab
