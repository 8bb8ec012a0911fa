// SPDX-License-Identifier: Apache-2.0
//
// The published vocabulary and data sets, where they lie beside the sources. Ids and counts: docs of the T5
// code, the Hugging Face tokenizer, and the data sets' papers.
#include <gmock/gmock.h>

#include <filesystem>

#include "data/jsonl.h"
#include "data/task_maker.h"
#include "data/tasks/glue.h"
#include "data/tasks/superglue.h"
#include "data/text_file.h"
#include "data/text_recipe.h"
#include "data/tokenizer.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Ids = std::vector<TokenId>;

std::string shared(const std::string& path) { return std::string(TRIMTAB_SHARED_DIR) + "/data/" + path; }

TEST(T5Vocabulary, IdsOfEveryLabel) {
  const Tokenizer t(shared("t5_vocab/spiece.model"));
  EXPECT_EQ(t.size(), 32100);
  EXPECT_EQ(t.sentinel(0), 32099);
  EXPECT_EQ(t.hash().size(), 64u);
  t.check_fits(32128);
  const std::vector<std::pair<std::string, Ids>> labels = {{"True", {10998}},
                                                           {"False", {10747, 7, 15}},
                                                           {"entailment", {3, 35, 5756, 297}},
                                                           {"not_entailment", {59, 834, 35, 5756, 297}},
                                                           {"contradiction", {27252}},
                                                           {"neutral", {7163}},
                                                           {"choice1", {1160, 536}},
                                                           {"choice2", {1160, 357}},
                                                           {"equivalent", {7072}},
                                                           {"not_equivalent", {59, 834, 15, 1169, 15592}},
                                                           {"duplicate", {19197}},
                                                           {"not_duplicate", {59, 834, 26, 413, 26221}},
                                                           {"positive", {1465}},
                                                           {"negative", {2841}},
                                                           {"commonsense", {1017, 7, 5167}},
                                                           {"reasoning", {20893}},
                                                           {"reading", {1183}},
                                                           {"comprehension", {27160}},
                                                           {"pronoun", {813, 15358, 29}},
                                                           {"resolution", {3161}}};
  for (const auto& [label, ids] : labels) {
    EXPECT_EQ(t.encode(label), ids) << label;
    EXPECT_EQ(t.decode(ids), label);
  }
}

// Ids of transformers' T5Tokenizer on the same file.
TEST(T5Vocabulary, AgreesWithTheHuggingFaceTokenizer) {
  const Tokenizer t(shared("t5_vocab/spiece.model"));
  EXPECT_EQ(t.encode("The <extra_id_0> walks in <extra_id_1> park"),
            (Ids{37, 32099, 10681, 16, 32098, 2447}));
  EXPECT_EQ(t.encode("a<extra_id_3>b"), (Ids{3, 9, 32096, 3, 115}));
  EXPECT_EQ(t.encode("<extra_id_99>"), Ids{32000});
  EXPECT_EQ(t.encode("x <extra_id_100> y"), (Ids{3, 226, 3, 2, 25666, 834, 23, 26, 834, 2915, 3155, 3, 63}));
  EXPECT_EQ(t.encode("  two   blanks\tand tab "), (Ids{192, 11460, 7, 11, 3808}));
  EXPECT_EQ(t.encode("sentence: hide new secretions from the parental units "),
            (Ids{7142, 10, 7387, 126, 2829, 2865, 45, 8, 21555, 3173}));
  EXPECT_EQ(t.encode("\xC3\x9Cn\xC3\xAF"
                     "code \xEF\xAC\x81 ligature \xC2\xBD \xF0\x9F\x99\x82"),
            (Ids{3, 14858, 29, 2, 4978, 361, 3, 17140, 2693, 209, 2, 357, 3, 2}));
}

// The ids of every class label of every task, with eos, are at most six.
TEST(SharedTasks, NoLabelIsCutAtEightTokens) {
  const Tokenizer t(shared("t5_vocab/spiece.model"));
  const TextRecipe recipe(t, {.max_input = 512, .max_target = 8});
  std::size_t longest = 0;
  for (const auto* suite : {&glue_tasks(), &superglue_tasks()})
    for (const ClassTask& task : *suite)
      for (const auto& ids : recipe.encode_labels(task.labels)) longest = std::max(longest, ids.size());
  EXPECT_EQ(longest, 6u);
}

TEST(SharedTasks, InputsAndTargetsFit) {
  const Tokenizer t(shared("t5_vocab/spiece.model"));
  const TextRecipe recipe(t, {.max_input = 512, .max_target = 8});
  RecipeCounts counts;
  const auto rte = task_of("superglue/rte", "path: " + shared("superglue"));
  EXPECT_EQ(recipe.encode(rte->load("validation"), counts).size(), 277u);
  EXPECT_EQ(counts.cut_targets, 0u);
  EXPECT_EQ(counts.longest_target, 6u);
  EXPECT_EQ(counts.cut_inputs, 0u);
}

TEST(SharedTexts, ZipOfSpeechesNamesTheFileThatIsNoUtf8) {
  const std::vector<TextFile> files = read_texts(shared("us_speeches_pd/inaugural.zip"));
  EXPECT_GT(files.size(), 50u);
  std::string message;
  std::size_t bad = 0;
  for (const TextFile& file : files) {
    try {
      for_each_line(file, [](std::string_view, std::size_t) {});
    } catch (const Error& error) {
      message = error.what();
      ++bad;
    }
  }
  EXPECT_EQ(bad, 1u);
  EXPECT_THAT(message, ::testing::HasSubstr("inaugural.zip:inaugural/2005-Bush.txt:"));
}

}  // namespace
}  // namespace trimtab
