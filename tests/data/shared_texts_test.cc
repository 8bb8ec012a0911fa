// SPDX-License-Identifier: Apache-2.0
//
// Every record of the published data sets becomes the text that reference_texts.py makes of it, and perfect
// answers score perfectly.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "data/answer_metrics.h"
#include "data/task_maker.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

struct Row {
  std::string file;
  std::size_t examples;
  std::string sha256;  // of "input<tab>target<line feed>" of all of them
};

const std::vector<Row> kTexts = {
    {"superglue/BoolQ/val.jsonl", 3270, "a3235aef014b6221f80b438493e9df7cc26a6647da56746554796cfb4e6fc6e9"},
    {"superglue/BoolQ/test.jsonl", 3245, "6cce3342b14f7334df413d056636b3d36848d002c6ad5ac887fadda858cdd2bc"},
    {"superglue/CB/train.jsonl", 250, "ecc1db142f7ba7dd5ccb773878e1e883fd124079c97bca41c326b915ce5bd85f"},
    {"superglue/CB/val.jsonl", 56, "fe39ae7e372506a57100d17afe8899837a0459d2ed52839c7cc33db810a07a27"},
    {"superglue/CB/test.jsonl", 250, "d184a92ed290d488b7cc59dd9360ccaf6dc8b00e5862d684f721a0b621eebb33"},
    {"superglue/COPA/train.jsonl", 400, "9bad5792fae30cddf50fddd4236fb6dfab37c23c5d946e2dc15696caaae7437c"},
    {"superglue/COPA/val.jsonl", 100, "f3c095ea71eedebbbac8833805bdd7851bc342496fea003bcdc5fc4d0276d77c"},
    {"superglue/COPA/test.jsonl", 500, "ae360e684056d31a4e135e5de861800dcb2064331ea6d4c9edd0a229344ae9ec"},
    {"superglue/MultiRC/train.jsonl", 27243,
     "b175234f3a35b73d6b11208c87bb4e15851529a64c7a6cddeecde87e63440c1d"},
    {"superglue/MultiRC/val.jsonl", 4848, "13f35e60f66e7c7d13a0528cacebb76c633ae85fa98ab8b76fbf59a6856579e0"},
    {"superglue/MultiRC/test.jsonl", 9693,
     "7b8b11d006383044ebec304675da809ca68e3f9a6d8bed7b29f0c13cf693ca50"},
    {"superglue/RTE/train.jsonl", 2490, "e38513a558d9d02c13870f86e8a63e2f0fc789f2ef96af480bbb70baf8654059"},
    {"superglue/RTE/val.jsonl", 277, "2759aa8332eb07ac408d785b1de239e2d61fda6dcac7cd0b0e91b930db96e316"},
    {"superglue/RTE/test.jsonl", 3000, "968a3895de308a2d76e19eae5789bb04c72b91727916d3147e3df1d5d78be78f"},
    {"superglue/WiC/train.jsonl", 5428, "221dea9f4dee40db1ecde34c5fa9349c235a7d05943c0bffb9a333857f419691"},
    {"superglue/WiC/val.jsonl", 638, "d5cee50f70d9c80a97f151315add1687ff6e7f3ea72fef55cc97467f408d78c4"},
    {"superglue/WiC/test.jsonl", 1400, "3239283f74912e7dcbff8941f5bc7dc2494f2a888f05aa4469b745928410ba3f"},
    {"superglue/WSC/train.jsonl", 259, "9d2b7c1af722a2dd7417da088c48f71836e5e3f774c8019b78ee348d48f9a57e"},
    {"superglue/WSC/val.jsonl", 104, "589527b92aac3b24cf7da7dbc3fceb232af35fcbde9b4b0ece4c3c2b846f2ceb"},
    {"superglue/WSC/test.jsonl", 146, "42fb3d1ca0bbc1ce569b5fa9a037fea76c4da7e85a5e6b13880e71115a3a510f"},
    {"superglue/AX-b/AX-b.jsonl", 1104, "fc9434f66b7c1a8e287ea477d010d7669d84c49c131eacb4111ef6a12e2fa5a6"},
    {"superglue/AX-g/AX-g.jsonl", 356, "65f9e2d6cfb574da91d18f248019f3d5681d0d195597b8d71aa345a24e0937f8"},
    {"fewglue_32dev/BoolQ/train.jsonl", 32,
     "daf416fbb343f74b462a58869ece897398012c9b7b8b4f51bc0439a4c9c06b30"},
    {"fewglue_32dev/BoolQ/dev32.jsonl", 32,
     "c40ba8f390314d586491bafe670d4bbe49696dcc6c100d765a805da5f84cb131"},
    {"fewglue_32dev/CB/train.jsonl", 32, "a74a92bb920c6ea6d4c57da3f41b847b225e5e07c4b497f8c34258297f52b5aa"},
    {"fewglue_32dev/CB/dev32.jsonl", 32, "4f67448745c6f1d429c65142ceae96b9137db7c2cc0d3332fe989c56023e30a1"},
    {"fewglue_32dev/COPA/train.jsonl", 32,
     "d7a2812489b54335811ea3525de4bf3238588d13611fbb9e5928e0fc31b0012e"},
    {"fewglue_32dev/COPA/dev32.jsonl", 32,
     "a18079e8c3695cd464add3496ed22bad36df0e93548c41ecc56f0019efe5a9df"},
    {"fewglue_32dev/MultiRC/train.jsonl", 154,
     "d103a089b45eed116eb32a433c598942d5fefa45fbeab02e08378ba7153cf02d"},
    {"fewglue_32dev/MultiRC/dev32.jsonl", 167,
     "3c05d767310e5889e7702dd7d7c58108f37f9308ba2119e15c8e3f6e89a9a1e8"},
    {"fewglue_32dev/ReCoRD/train.jsonl", 44,
     "e3579dabe2f7f88b59240c222e94794e8534459971a69bba1a8991691eb979f2"},
    {"fewglue_32dev/ReCoRD/dev32.jsonl", 32,
     "4b7e8925114510572eb79037c2383b3750740dadf576a561ef1efbf5f8324820"},
    {"fewglue_32dev/RTE/train.jsonl", 32, "c8207e471060806a44d9cdfda45bfa01bbbc85ea10661a982cfbf703b71a031d"},
    {"fewglue_32dev/RTE/dev32.jsonl", 32, "e4d697ad177de56876e242cda19f731996068b86123cecf943d652f491cbf7c1"},
    {"fewglue_32dev/WiC/train.jsonl", 32, "6f9113da2c8d8007fe45d48e9cb4aa6371279d88d9e969a11cfcd9ebd58eb650"},
    {"fewglue_32dev/WiC/dev32.jsonl", 32, "0619edee7207ac46581e7bafa9291bb0e2fa9f39cf89c358f8e08949c8ed16f5"},
    {"fewglue_32dev/WSC/train.jsonl", 32, "98851b4ff343db6ac4e3b23a6fe865dbbca089a95ebaf633a536e9a0aca6b4a6"},
    {"fewglue_32dev/WSC/dev32.jsonl", 32, "93145d0b10082f31d9815c083decf15c51967a087066094fd731d1889d64278f"},
    {"record_explorer123/examples.jsonl", 193,
     "44b48f5e17014c29c691f4355e61637423cf1d1f0a0e79272344fb0b516c2d84"},
    {"glue/SST-2/train.tsv", 67349, "4859993d441922375c378ad843bca4e19c6913794de17464d386253f9677429c"},
    {"glue/SST-2/dev.tsv", 872, "0961ac9249742b40c8b18b059d53b4141b8b850b46f3b36c0002261f44149d7b"},
    {"glue/SST-2/test.tsv", 1821, "0db8a7d8c6f921ec172ce4d4fbff68dcf76143d78132dadbb20dd65e4463fcce"},
    {"glue/MRPC/train.tsv", 3668, "3ef156441a4469e2c598c032dab5bd3dd439ee81aa0a743d50423a3de303a0b0"},
    {"glue/MRPC/dev.tsv", 408, "817ceb7739f5bea6d5b6dc2bf7fbbd694e10b42dbd1bcdcb8824fab08746c229"},
    {"glue/MRPC/test.tsv", 1725, "f455a95ce3b6b452aa8ca92d2dbd6aaf9f07099c94bee40359873ca4ed27f0e8"},
    {"glue/MRPC/msr_paraphrase_test.txt", 1725,
     "413c527b64bc848c9a883278c91b39578a1dde947a84bccaac93e5db99a65ebb"},
    {"glue_subset10k/QQP/train.json", 8999,
     "498cb9a494615033c387f8545bc8a4d021405a4e10036d0351e2f3ddd6fe5acd"},
    {"glue_subset10k/QQP/dev.json", 1000, "e3a6875415c87bd9c657144e0439967d2ae0f9b882d7b4600eaa214900dfff3c"},
    {"glue_subset10k/QNLI/train.json", 8999,
     "4988d1c00c7a80a0768848e1a82c2f52e6775a80a4752782757e759236b280b2"},
    {"glue_subset10k/QNLI/dev.json", 1000,
     "bf63f4155e5f2cbe335074b77aeea83ab885b3548aaba68fa5b861c25d628d90"},
    {"glue_subset10k/MNLI/train.json", 8999,
     "bb97a036e59b314b33bcb4638fa7aad86563bb4c29bcbca053858c33f0287da5"},
    {"glue_subset10k/MNLI/dev.json", 1000,
     "3ca119a7855a58d030cff296603e005a1bf95df37834ee55294e2f6fd8da038d"},
    {"squad_v1.1/train-v1.1.json.gz", 87599,
     "36baa2c16bfafb93f03d413b8e0989f44f1df31470f828eccbbd1bc351c16235"},
    {"squad_v1.1/dev-v1.1.json.gz", 10570,
     "c7bf99fca432eb58d8627aac3628ea9178746c9edf92586c4fbe9cc05673e70a"},
    {"squadshifts/new_wiki_v1.0.json", 7938,
     "e66b844eeca0f4748a2e509e6bb518b540b1041bd8a65eb0670941a8fb1e5185"},
    {"squadshifts/amazon_reviews_v1.0.json", 9885,
     "6c44373095361feb35d39e617dd4f6dcc2e436944cb4dc793a18579f61e52798"},
};

// Normal forms (normalize_answer) of inputs and first answers in place of the texts.
const std::vector<Row> kNormalForms = {
    {"squad_v1.1/dev-v1.1.json.gz", 10570,
     "68d3184b01e3aa07bf16348721ed5009a483f225747dafa31cf8b34eaef43702"},
    {"squadshifts/new_wiki_v1.0.json", 7938,
     "2d5c90186449b51e83d82be732fe43df9c3f2a6a2cb4e8513df4e37811c6a14f"},
    {"squadshifts/amazon_reviews_v1.0.json", 9885,
     "f2622b5b4f2ecf4d92f77bd59a7cabc07c174a7dc1ffaeddeb83f9e416547f7b"},
};

std::string task_name(const std::string& folder, const std::string& set) {
  if (folder == "squad_v1.1") return "squad/v1.1";
  if (folder == "squadshifts") return "squad/shifts";
  if (folder == "record_explorer123") return "superglue/record";
  std::string name = folder.starts_with("glue") ? "glue/" : "superglue/";
  for (const char c : set)
    if (c != '-') name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::vector<TextExample> load(const Row& row, std::unique_ptr<Task>& task) {
  const std::filesystem::path path(row.file);
  const std::string folder = *path.begin(), set = path.parent_path().filename(), stem = path.stem();
  std::string split = "train";
  if (stem.starts_with("dev") || stem == "val" || folder == "squadshifts") split = "validation";
  if (stem.starts_with("test") || stem.starts_with("msr") || stem.starts_with("AX")) split = "test";
  const std::string file = path.extension() == ".gz" ? stem : path.filename().string();
  task = task_of(task_name(folder, set), fmt::format("path: {}/data/{}\n{}: {}", TRIMTAB_SHARED_DIR,
                                                     path.parent_path().string(), split, file));
  return task->load(split);
}

// Three answers of SQuAD and its shifts ("a", "the") have an empty normal form, and no F1 by its rules.
void expect_perfect_but_for_empty(const Task& task, const std::vector<TextExample>& examples) {
  double empty = 0;
  if (task.name().starts_with("squad"))
    for (const TextExample& example : examples) empty += normalize_answer(example.target).empty();
  if (empty == 0) return expect_perfect(task, examples);
  const Scores scores = task.score(targets_of(examples), examples);
  EXPECT_DOUBLE_EQ(scores.value("exact_match"), 100);
  EXPECT_NEAR(scores.value("f1"), 100 - 100 * empty / static_cast<double>(examples.size()), 1e-9);
  EXPECT_LE(empty, 2);
}

TEST(SharedTexts, EveryRecordIsTheTextOfTheReference) {
  for (const Row& row : kTexts) {
    SCOPED_TRACE(row.file);
    std::unique_ptr<Task> task;
    const auto examples = load(row, task);
    EXPECT_EQ(examples.size(), row.examples);
    std::string all;
    for (const TextExample& example : examples) all += example.input + "\t" + example.target + "\n";
    EXPECT_EQ(sha256_hex(all), row.sha256);
    if (is_labelled(examples.front())) expect_perfect_but_for_empty(*task, examples);
  }
}

TEST(SharedTexts, NormalFormsAreThoseOfPython) {
  for (const Row& row : kNormalForms) {
    SCOPED_TRACE(row.file);
    std::unique_ptr<Task> task;
    std::string all;
    for (const TextExample& example : load(row, task))
      all += fmt::format("{}\t{}\n", normalize_answer(example.input), normalize_answer(example.target));
    EXPECT_EQ(sha256_hex(all), row.sha256);
  }
}

struct Majority {
  std::string task, path, answer, metric;
  double score;  // Lester et al. 2021, tables 8 to 16, in percent with one decimal
};

// QQP's dev file is not at hand.
TEST(SharedTexts, MajorityClassScores) {
  const std::vector<Majority> table = {
      {"superglue/boolq", "superglue", "True", "accuracy", 62.2},
      {"superglue/cb", "superglue", "contradiction", "accuracy", 50.0},
      {"superglue/copa", "superglue", "choice1", "accuracy", 55.0},
      {"superglue/rte", "superglue", "entailment", "accuracy", 52.7},
      {"superglue/wic", "superglue", "True", "accuracy", 50.0},
      {"superglue/wsc", "superglue", "none of them", "accuracy", 63.5},
      {"glue/mrpc", "glue", "equivalent", "accuracy", 68.4},
  };
  for (const Majority& row : table) {
    const auto task = task_of(row.task, fmt::format("path: {}/data/{}", TRIMTAB_SHARED_DIR, row.path));
    const auto examples = task->load("validation");
    const std::vector<std::string> answers(examples.size(), row.answer);
    EXPECT_NEAR(task->score(answers, examples).value(row.metric), row.score, 0.05 + 1e-9) << row.task;
  }
}

// Shares of the first label named, train and validation (tables 8 to 16).
TEST(SharedTexts, LabelShares) {
  struct Share {
    std::string task, folder, label;
    double train, validation;
  };
  const std::vector<Share> table = {{"superglue/cb", "superglue", "contradiction", 47.6, 50.0},
                                    {"superglue/cb", "superglue", "entailment", 46.0, 41.1},
                                    {"superglue/cb", "superglue", "neutral", 6.4, 8.9},
                                    {"superglue/copa", "superglue", "choice1", 48.8, 55.0},
                                    {"superglue/multirc", "superglue", "False", 55.9, 57.2},
                                    {"superglue/wic", "superglue", "True", 50.0, 50.0},
                                    {"superglue/rte", "superglue", "not_entailment", 49.8, 47.3},
                                    {"glue/mrpc", "glue", "equivalent", 67.4, 68.4}};
  for (const Share& row : table) {
    const auto task = task_of(row.task, fmt::format("path: {}/data/{}", TRIMTAB_SHARED_DIR, row.folder));
    for (const auto& [split, share] : {std::pair{"train", row.train}, {"validation", row.validation}}) {
      const auto targets = targets_of(task->load(split));
      const auto count = static_cast<double>(std::count(targets.begin(), targets.end(), row.label));
      EXPECT_NEAR(100 * count / static_cast<double>(targets.size()), share, 0.05 + 1e-9)
          << row.task << " " << split;
    }
  }
}

}  // namespace
}  // namespace trimtab
