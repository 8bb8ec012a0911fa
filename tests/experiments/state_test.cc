// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints, their proof, the hash of the base and the step, on a tiny random T5.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "experiments/probe.h"
#include "experiments/stage_weights.h"
#include "experiments/step_journal.h"
#include "experiments/to_micro_batch.h"
#include "experiments/train_step.h"
#include "models/t5/t5_init.h"
#include "models/t5/t5_stage.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

T5Config tiny() {
  T5Config config;
  config.vocab = 32;
  config.d_model = 8;
  config.d_kv = 4;
  config.d_ff = 16;
  config.heads = 2;
  config.encoder_layers = 1;
  config.decoder_layers = 1;
  return config;
}

Batch two_rows() {
  Batch batch;
  batch.append(std::vector<TokenId>{5, 6, 7, 1}, std::vector<TokenId>{8, 9, 1}, 0, 40);
  batch.append(std::vector<TokenId>{10, 1}, std::vector<TokenId>{11, 1}, 1, 41);
  return batch;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class State : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() /
        ("trimtab-state-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
    stage_ = make_stage(1);
    method_ = make_prompt(3);
    parameters_ = method_->attach(*stage_, context());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<ModelStage> make_stage(std::uint64_t seed) {
    return make_t5_stage(tiny(), T5RandomWeights(tiny(), seed), world_,
                         {whole_model(tiny()), DType::kFloat32});
  }
  static std::unique_ptr<TuningMethod> make_prompt(int length) {
    Subtree options =
        Subtree::parse(fmt::format("name: prompt_tuning\nlength: {}\ninit: uniform\n", length), "method");
    return make_method(options);
  }
  static MethodContext context() {
    MethodContext out;
    out.pieces = 20;
    out.encode = [](const std::string&) { return std::vector<std::int32_t>{5}; };
    return out;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::vector<MicroBatch> rows() const { return {to_micro_batch(two_rows(), 0)}; }
  CheckpointInfo info() const {
    CheckpointInfo out;
    out.method = "prompt_tuning";
    out.config = "name: x\n";
    out.weights = "tiny.h5";
    out.base_hash = base_hash(*stage_);
    out.vocabulary_hash = "vvv";
    out.step = 7;
    out.best_step = 5;
    out.best_score = 81.5;
    return out;
  }

  std::filesystem::path folder_;
  World world_ = solo_world();
  std::unique_ptr<TuningMethod> method_;
  std::unique_ptr<ModelStage> stage_;
  Parameters parameters_;
};

TEST_F(State, DecoderReadsTargetsShiftedRightInEachRow) {
  const MicroBatch batch = to_micro_batch(two_rows(), 0);
  const auto ids = [](const at::Tensor& t) {
    return std::vector<std::int64_t>(t.const_data_ptr<std::int64_t>(),
                                     t.const_data_ptr<std::int64_t>() + t.numel());
  };
  EXPECT_THAT(ids(batch.targets), ElementsAre(8, 9, 1, 11, 1));
  EXPECT_THAT(ids(batch.decoder_ids), ElementsAre(0, 8, 9, 0, 11));
  EXPECT_EQ(batch.encoder.length(1), 2);
  EXPECT_THAT(batch.samples, ElementsAre(0, 1));
}

TEST_F(State, HashIsThatOfTheWeightsAndNothingElse) {
  const std::string hash = base_hash(*stage_);
  EXPECT_EQ(base_hash(*make_stage(1)), hash);
  EXPECT_NE(base_hash(*make_stage(2)), hash);
  stage_->base_weights().front().value.view(-1)[0].add_(1e-3);
  EXPECT_NE(base_hash(*stage_), hash);
}

TEST_F(State, CheckpointGivesBackEveryBit) {
  OptimizerState state;
  state.step = 7;
  state.tensors = {{"prompt/v", at::rand({3, 8})}};
  save_checkpoint(path("a.h5"), info(), parameters_, &state);
  const Checkpoint checkpoint(path("a.h5"));
  EXPECT_EQ(checkpoint.info().step, 7);
  EXPECT_EQ(checkpoint.info().best_score, 81.5);
  EXPECT_THAT(checkpoint.values(), ElementsAre("prompt"));
  EXPECT_TRUE(at::equal(checkpoint.value("prompt"), parameters_[0].value()));
  EXPECT_EQ(checkpoint.state().tensors[0].name, "prompt/v");
  EXPECT_TRUE(at::equal(checkpoint.state().tensors[0].value, state.tensors[0].value));
  save_checkpoint(path("b.h5"), info(), parameters_, nullptr);
  EXPECT_THAT(message_of([&] { (void)Checkpoint(path("b.h5")).state(); }), HasSubstr("no optimizer state"));
}

TEST_F(State, CheckpointIsRefusedBesideWhatItWasNotMadeWith) {
  save_checkpoint(path("a.h5"), info(), parameters_, nullptr);
  const Checkpoint checkpoint(path("a.h5"));
  EXPECT_THAT(message_of([&] { checkpoint.check_base(std::string(64, 'f'), "other.h5"); }),
              AllOf(HasSubstr("tiny.h5"), HasSubstr("other.h5"), HasSubstr("ffffffffffff...")));
  EXPECT_THAT(message_of([&] { checkpoint.check_method("model_tuning"); }), HasSubstr("prompt_tuning"));
  EXPECT_THAT(message_of([&] { checkpoint.check_vocabulary("www", "spiece.model"); }),
              HasSubstr("spiece.model"));
  const auto other = make_stage(1);
  const auto longer = make_prompt(4);
  const Parameters parameters = longer->attach(*other, context());
  EXPECT_THAT(message_of([&] { checkpoint.load_values(parameters); }),
              AllOf(HasSubstr("prompt is [3, 8] in the file but [4, 8] in this run")));
}

TEST_F(State, AFlippedByteOfThePromptIsFound) {
  save_checkpoint(path("a.h5"), info(), parameters_, nullptr);
  std::ifstream file(path("a.h5"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const at::Tensor prompt = parameters_[0].value();
  const std::string needle(static_cast<const char*>(prompt.const_data_ptr()), 16);
  const std::size_t place = bytes.find(needle);
  ASSERT_NE(place, std::string::npos);
  std::string damaged = bytes;
  damaged[place + 5] = static_cast<char>(damaged[place + 5] ^ 1);
  std::ofstream(path("b.h5"), std::ios::binary) << damaged;
  EXPECT_THAT(message_of([&] { Checkpoint{path("b.h5")}; }), AllOf(HasSubstr("b.h5"), HasSubstr("prompt")));
}

// As a host leaves it that lost power: the newest file cut anywhere, also to nothing.
TEST_F(State, JournalFilesThatAreCutArePassedOver) {
  const RunFolder folder(folder_.string());
  OptimizerState state;
  state.step = 7;
  const GatheredState gathered = gather_state(world_, parameters_, state);
  CheckpointInfo older = info(), newer = info();
  newer.step = older.step + 1;
  write_state(folder.journal(0), older, gathered, Durability::kProcess);
  write_state(folder.journal(1), newer, gathered, Durability::kProcess);
  std::string passed_over;
  EXPECT_EQ(newest_state(folder, world_, passed_over)->info().step, newer.step);
  EXPECT_EQ(passed_over, "");
  const auto whole = std::filesystem::file_size(folder.journal(1));
  for (std::uintmax_t size = 0; size < whole; size += size < 64 ? 1 : 61) {
    std::filesystem::resize_file(folder.journal(1), size);
    passed_over.clear();
    EXPECT_EQ(newest_state(folder, world_, passed_over)->info().step, older.step) << size;
    EXPECT_THAT(passed_over, HasSubstr("journal-1.h5")) << size;
    write_state(folder.journal(1), newer, gathered, Durability::kProcess);
  }
  // What the last checkpoint has, too, is not gone back to.
  CheckpointInfo last = info();
  last.step = newer.step + 1;
  save_checkpoint(folder.last(), last, parameters_, &state);
  EXPECT_EQ(newest_state(folder, world_, passed_over)->info().step, last.step);
}

TEST_F(State, ADamagedCheckpointIsPassedOverForAWholeJournal) {
  const RunFolder folder(folder_.string());
  OptimizerState state;
  state.step = 7;
  CheckpointInfo later = info();
  later.step += 2;
  save_checkpoint(folder.last(), later, parameters_, &state);
  std::filesystem::resize_file(folder.last(), 3000);
  std::string passed_over;
  EXPECT_THAT(message_of([&] { newest_state(folder, world_, passed_over); }), HasSubstr(folder.last()));
  write_state(folder.journal(1), info(), gather_state(world_, parameters_, state), Durability::kProcess);
  passed_over.clear();
  EXPECT_EQ(newest_state(folder, world_, passed_over)->info().step, info().step);
  EXPECT_THAT(passed_over, AllOf(HasSubstr("the last checkpoint is passed over"), HasSubstr(folder.last())));
}

std::int64_t step_in(const std::string& path) { return Checkpoint(path).info().step; }

TEST_F(State, JournalLeavesTheFileAloneThatLiesOnTheDevice) {
  const RunFolder folder(folder_.string());
  OptimizerState state;
  CheckpointInfo now = info();
  const GatheredState gathered = gather_state(world_, parameters_, state);
  write_state(folder.journal(1), now, gathered, Durability::kProcess);
  now.step = 3;
  write_state(folder.journal(0), now, gathered, Durability::kProcess);
  StepJournal journal(folder, "auto", 24, world_);
  journal.keep(folder.journal(0));
  now.step = 4;
  EXPECT_EQ(journal.write(now, parameters_, state), "");  // the first of a process is synced
  EXPECT_EQ(step_in(folder.journal(0)), 3);
  EXPECT_EQ(step_in(folder.journal(1)), 4);
  now.step = 5;
  journal.write(now, parameters_, state);
  EXPECT_EQ(step_in(folder.journal(0)), 5);
  EXPECT_EQ(step_in(folder.journal(1)), 4);
}

TEST_F(State, JournalIsDueAfterEachStepForWhatIsSmall) {
  const RunFolder folder(folder_.string());
  const auto due_again = [&](const std::string& mode, std::int64_t trained) {
    StepJournal journal(folder, mode, trained, world_);
    if (journal.due()) journal.write(info(), parameters_, {});
    return journal.due();
  };
  EXPECT_TRUE(due_again("auto", 100 * 4096));
  EXPECT_TRUE(due_again("on", std::int64_t{1} << 40));
  EXPECT_FALSE(due_again("auto", (std::int64_t{1} << 22) + 1));
  EXPECT_FALSE(due_again("auto", 0));
  EXPECT_FALSE(due_again("off", 24));
}

TEST_F(State, JournalThatCannotBeWrittenIsTriedAgain) {
  const RunFolder folder(folder_.string());
  std::filesystem::create_directories(folder.journal(0) + "/in-the-way");
  StepJournal journal(folder, "auto", 24, world_);
  EXPECT_THAT(journal.write(info(), parameters_, {}),
              AllOf(HasSubstr("warning: "), HasSubstr(folder.journal(0)), HasSubstr("tries again")));
  EXPECT_EQ(journal.write(info(), parameters_, {}), "") << "said once";
  std::filesystem::remove_all(folder.journal(0));
  EXPECT_EQ(journal.write(info(), parameters_, {}), "the journal is written again");
  EXPECT_EQ(step_in(folder.journal(0)), info().step);
  EXPECT_EQ(journal.write(info(), parameters_, {}), "");
  EXPECT_TRUE(journal.due());
}

TEST(ReplicaElsewhere, IsTheFirstOneWhoseFirstRankIsOnAnotherHost) {
  const auto replica_on = [](const Mesh& mesh, const std::vector<std::string>& hosts) {
    std::vector<int> found(hosts.size());
    run_ranks(mesh, [&](World& world) {
      const auto rank = static_cast<std::size_t>(world.rank());
      found[rank] = replica_elsewhere(world, hosts[rank]);
    });
    EXPECT_THAT(found, testing::Each(found[0]));
    return found[0];
  };
  EXPECT_EQ(replica_on(Mesh(3, 1, 1), {"a", "a", "b"}), 2);
  EXPECT_EQ(replica_on(Mesh(3, 1, 1), {"a", "b", "b"}), 1);
  EXPECT_EQ(replica_on(Mesh(2, 1, 1), {"a", "a"}), 0);
  EXPECT_EQ(replica_on(Mesh(1, 2, 1), {"a", "b"}), 0) << "there is one replica only";
  EXPECT_EQ(replica_on(Mesh(2, 1, 2), {"a", "b", "a", "b"}), 0) << "its first rank is on rank 0's host";
}

// As a host leaves them that lost power: nothing of its own is there.
TEST_F(State, JournalOfTwoHostsIsWholeWithoutTheFilesOfEither) {
  const RunFolder folder(folder_.string());
  for (const int lost : {0, 2}) {
    run_ranks(Mesh(2, 1, 1), [&](World& world) {
      const auto stage = make_stage(1);
      const auto method = make_prompt(3);
      const Parameters parameters = method->attach(*stage, context());
      StepJournal journal(folder, "auto", 24, world, 1);
      CheckpointInfo now = info();
      for (now.step = 4; now.step < 7; ++now.step) EXPECT_EQ(journal.write(now, parameters, {}), "");
    });
    for (const int number : {lost, lost + 1})
      EXPECT_TRUE(std::filesystem::remove(folder.journal(number))) << number;
    std::string passed_over;
    EXPECT_EQ(newest_state(folder, world_, passed_over)->info().step, 6);
    EXPECT_EQ(passed_over, "");
    StepJournal(folder, "auto", 24, world_).remove();
    for (int number = 0; number < RunFolder::kJournals; ++number)
      EXPECT_FALSE(std::filesystem::exists(folder.journal(number))) << number;
  }
}

TEST_F(State, JournalThatTheOtherHostCannotWriteIsWarnedOf) {
  const RunFolder folder(folder_.string());
  std::filesystem::create_directories(folder.journal(2) + "/in-the-way");
  run_ranks(Mesh(2, 1, 1), [&](World& world) {
    const auto stage = make_stage(1);
    const auto method = make_prompt(3);
    const Parameters parameters = method->attach(*stage, context());
    StepJournal journal(folder, "auto", 24, world, 1);
    const std::string news = journal.write(info(), parameters, {});
    if (world.rank() == 0) {
      EXPECT_THAT(news, HasSubstr(folder.journal(2)));
    } else {
      EXPECT_EQ(news, "");
    }
  });
}

TEST_F(State, SavedFileIsProvedToBeUsed) {
  ModelRunner runner(*stage_, world_, "1f1b", true);
  TrainStep step(runner, parameters_, {});
  const auto score = [&] { return step.score(rows()); };
  save_checkpoint(path("a.h5"), info(), parameters_, nullptr);
  const at::Tensor before = parameters_[0].value().clone();
  verify_saved(path("a.h5"), {}, *stage_, *method_, parameters_, score(), score);
  EXPECT_TRUE(at::equal(parameters_[0].value(), before));

  parameters_[0].value().add_(1.0);
  EXPECT_THAT(
      message_of([&] { verify_saved(path("a.h5"), {}, *stage_, *method_, parameters_, score(), score); }),
      HasSubstr("not what was trained"));

  stage_->attach_input(nullptr);
  const auto detached = [&] {
    stage_->attach_input(nullptr);
    return step.score(rows());
  };
  EXPECT_THAT(
      message_of([&] { verify_saved(path("a.h5"), {}, *stage_, *method_, parameters_, score(), detached); }),
      HasSubstr("not used by the model"));
}

TEST_F(State, GradientsAreSumsWhateverTheMicroBatches) {
  ModelRunner runner(*stage_, world_, "1f1b", true);
  TrainStepOptions options;
  options.dropout = 0.1;
  TrainStep step(runner, parameters_, options);
  const RowName name = [](std::uint64_t sample) { return "row-" + std::to_string(sample); };
  const StepTotals together = step.run(3, rows(), name);
  const at::Tensor gradient = parameters_[0].grad().clone();
  Batch first, second;
  const Batch both = two_rows();
  first.append(both.input(0), both.target(0), 0, 40);
  second.append(both.input(1), both.target(1), 1, 41);
  const StepTotals apart = step.run(3, {to_micro_batch(first, 0), to_micro_batch(second, 0)}, name);
  EXPECT_EQ(together.tokens, 5);
  EXPECT_EQ(apart.tokens, 5);
  EXPECT_NEAR(together.loss, apart.loss, 1e-4);
  EXPECT_LT((gradient - parameters_[0].grad()).abs().max().item<double>(), 1e-4);
  EXPECT_GT(gradient.abs().max().item<double>(), 1e-4);
}

TEST_F(State, NaNNamesStepRowsAndLayer) {
  ModelRunner runner(*stage_, world_, "1f1b", true);
  TrainStep step(runner, parameters_, {});
  // Only the second row has token 10.
  for (const auto& [name, value] : stage_->base_weights())
    if (name == "shared.weight") value[10].fill_(std::numeric_limits<float>::quiet_NaN());
  const std::string message =
      message_of([&] { step.run(12, rows(), [](std::uint64_t s) { return "row-" + std::to_string(s); }); });
  EXPECT_THAT(message, AllOf(HasSubstr("step 12"), HasSubstr("encoder"), HasSubstr("row-1"),
                             ::testing::Not(HasSubstr("row-0"))));
}

// The rank whose message ends the job need not be of the replica whose rows they are.
TEST_F(State, EveryReplicaNamesTheNaNOfOne) {
  run_ranks(Mesh(2, 1, 1), [&](World& world) {
    const auto stage =
        make_t5_stage(tiny(), T5RandomWeights(tiny(), 1), world, {whole_model(tiny()), DType::kFloat32});
    const auto method = make_prompt(3);
    const Parameters parameters = method->attach(*stage, context());
    ModelRunner runner(*stage, world, "1f1b", true);
    TrainStep step(runner, parameters, {});
    for (const auto& [name, value] : stage->base_weights())
      if (name == "shared.weight") value[10].fill_(std::numeric_limits<float>::quiet_NaN());
    const Batch both = two_rows();
    const std::size_t own = world.rank() == 0 ? 0 : 1;  // the second row has token 10
    Batch batch;
    batch.append(both.input(own), both.target(own), own, 40 + own);
    const std::string message = message_of([&] {
      step.run(12, {to_micro_batch(batch, 0)}, [](std::uint64_t s) { return "row-" + std::to_string(s); });
    });
    EXPECT_THAT(message, AllOf(HasSubstr("step 12"), HasSubstr("encoder"), HasSubstr("row-1")))
        << world.rank();
  });
}

TEST_F(State, WeightsOfAStageReadAsTheyWereWritten) {
  const T5RandomWeights source(tiny(), 1);
  const StageWeights weights(*stage_);
  EXPECT_EQ(weights.names(), [&] {
    auto names = source.names();
    std::ranges::sort(names);
    return names;
  }());
  for (const std::string& name : source.names()) {
    const Shape shape = source.info(name).shape;
    ASSERT_EQ(weights.info(name).shape, shape) << name;
    at::Tensor a = at::empty(shape), b = at::empty(shape);
    source.read(name, {}, DType::kFloat32, a.mutable_data_ptr());
    weights.read(name, {}, DType::kFloat32, b.mutable_data_ptr());
    EXPECT_TRUE(at::equal(a, b)) << name;
  }
}

}  // namespace
}  // namespace trimtab
