// SPDX-License-Identifier: Apache-2.0
//
// Adapters out and in by the program, and which ones it refuses. tests/peft compares with PEFT itself.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/checkpoint.h"
#include "launch/program.h"
#include "models/formats/npy.h"
#include "models/formats/peft_adapter.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

// The workshop's run, trained, and its prompt as an adapter.
void make_adapter(const Workshop& shop) {
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const Outcome out =
      run_program({"export", shop.path("run/best.h5"), shop.path("adapter"), "--base", "someone/tiny"});
  ASSERT_EQ(out.code, 0) << out.err;
  EXPECT_THAT(out.out, HasSubstr("as a PEFT adapter of someone/tiny"));
}

std::string scores(const Workshop& shop, const std::string& checkpoint) {
  const Outcome out = run_program({"evaluate", shop.experiment(), "--checkpoint", checkpoint, "--predictions",
                                   shop.path("predictions.jsonl")});
  EXPECT_EQ(out.code, 0) << out.err;
  return out.out + shop.read("predictions.jsonl");
}

TEST(Adapter, GoesOutAndComesBack) {
  const Workshop shop;
  make_adapter(shop);
  const Json config = Json::parse(shop.read("adapter/adapter_config.json"));
  EXPECT_EQ(config.at("peft_type"), "PROMPT_TUNING");
  EXPECT_EQ(config.at("task_type"), "SEQ_2_SEQ_LM");
  EXPECT_EQ(config.at("num_transformer_submodules"), 1);
  EXPECT_EQ(config.at("base_model_name_or_path"), "someone/tiny");
  const Outcome in =
      run_program({"import", shop.path("adapter"), shop.path("again.h5"), "--weights", shop.model()});
  ASSERT_EQ(in.code, 0) << in.err;
  EXPECT_THAT(in.out, AllOf(HasSubstr("name: prompt_tuning"), HasSubstr("length: 4")));
  EXPECT_EQ(scores(shop, shop.path("again.h5")), scores(shop, shop.path("run/best.h5")));
  // The same as the beginning of another run, from each form.
  ASSERT_EQ(run_program({"export", shop.path("run/best.h5"), shop.path("prompt.npy")}).code, 0);
  for (const char* file : {"adapter", "prompt.npy", "run/best.h5"}) {
    const Outcome begun = run_program({"train", shop.experiment(), "--set", "method.init=file", "--set",
                                       "method.init_file=" + shop.path(file), "--set",
                                       "output=" + shop.path("next"), "--set", "train.steps=1"});
    EXPECT_EQ(begun.code, 0) << file << begun.err;
    std::filesystem::remove_all(shop.path("next"));
  }
}

std::vector<std::string> begun_with(const Workshop& shop, const std::string& file, const std::string& name) {
  return {
      "train", shop.experiment(),           "--set", "method.init=file", "--set", "method.init_file=" + file,
      "--set", "output=" + shop.path(name), "--set", "train.steps=1"};
}

// SPoT: the next run begins at the very rows that the last one ended with.
TEST(Transfer, BeginsWithTheRowsOfTheSource) {
  const Workshop shop;
  make_adapter(shop);
  const at::Tensor source = Checkpoint(shop.path("run/best.h5")).value("prompt");
  for (const char* file : {"adapter", "run/best.h5"}) {
    auto arguments = begun_with(shop, shop.path(file), "next");
    arguments.insert(arguments.end(), {"--set", "optimizer.weight_decay=0", "--set", "optimizer.name=sgd",
                                       "--set", "optimizer.learning_rate=1e-30"});
    const Outcome outcome = run_program(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(Checkpoint(shop.path("next/last.h5")).value("prompt").equal(source)) << file;
    std::filesystem::remove_all(shop.path("next"));
  }
}

// Rows of one width are rows of any model of that width; only the files know.
TEST(Transfer, FromAnotherBaseIsSaid) {
  const Workshop shop;
  make_adapter(shop);
  ASSERT_EQ(run_program({"export", shop.path("run/best.h5"), shop.path("prompt.npy")}).code, 0);
  const std::string other = shop.make_model("other.h5", 7);
  for (const std::string file : {"adapter", "run/best.h5", "prompt.npy"}) {
    auto arguments = begun_with(shop, shop.path(file), "same");
    EXPECT_THAT(run_program(arguments).err, Not(HasSubstr("another base model"))) << file;
    arguments = begun_with(shop, shop.path(file), "other");
    arguments.insert(arguments.end(), {"--set", "model.weights=" + other});
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    // A bare array says nothing of its model.
    const auto said = AllOf(HasSubstr("warning"), HasSubstr(file + " was trained on another base model"),
                            HasSubstr("other.h5"));
    EXPECT_EQ(::testing::Matches(said)(outcome.err), file != "prompt.npy") << file << outcome.err;
    for (const char* name : {"same", "other"}) std::filesystem::remove_all(shop.path(name));
  }
}

TEST(Transfer, NearestPromptIsChosen) {
  const Workshop shop;
  write_npy(shop.path("target.npy"), {2, 2}, std::vector<float>{1, 0, 1, 0.2F});
  write_npy(shop.path("far.npy"), {1, 2}, std::vector<float>{0, 1});
  write_npy(shop.path("near.npy"), {3, 2}, std::vector<float>{2, 0, 2, 0, 2, 0.5F});
  const std::string target = shop.path("target.npy"), far = shop.path("far.npy"),
                    near = shop.path("near.npy");
  for (const auto& order : {std::vector{far, near}, std::vector{near, far}}) {
    const Outcome outcome = run_program({"inspect", target, order[0], order[1], "--nearest"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, near + "\n");
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(far), HasSubstr(near)));
  }
  EXPECT_EQ(run_program({"inspect", target, "--nearest"}).code, 2);
}

// Neither names nor shapes of tensors show it.
TEST(Adapter, IsUsedWithTheOptionsThatItWasTrainedWith) {
  const Workshop shop;
  const auto verb = [&](const std::string& name, const std::string& method) {
    return run_program({name, shop.experiment(), "--set", "method=" + method});
  };
  ASSERT_EQ(verb("train", "{name: lora, rank: 2, alpha: 64}").code, 0);
  EXPECT_EQ(verb("evaluate", "{name: lora, rank: 2, alpha: 64, dropout: 0.5}").code, 0);
  const Outcome other = verb("evaluate", "{name: lora, rank: 2, alpha: 1}");
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("best.h5: was trained with method.alpha: 64"),
                               HasSubstr("set method.alpha to 64")));
}

TEST(Adapter, OfAnotherBaseIsRefused) {
  const Workshop shop;
  make_adapter(shop);
  const std::string other = shop.make_model("other.h5", 7), out = shop.path("out.h5");
  const auto refused = [&](const std::vector<std::string>& arguments) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.out << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    return outcome.err;
  };
  EXPECT_THAT(refused({"import", shop.path("adapter"), out, "--weights", other}),
              AllOf(HasSubstr("belongs to another base model: someone/tiny"), HasSubstr("other.h5 has")));
  EXPECT_THAT(refused({"import", shop.path("adapter"), out}), HasSubstr("--weights"));
  EXPECT_THAT(refused({"export", shop.path("run/best.h5"), out, "--weights", other}),
              HasSubstr("was trained on another base model"));
  std::filesystem::rename(shop.model(), shop.path("moved.h5"));
  EXPECT_THAT(refused({"export", shop.path("run/best.h5"), out}),
              AllOf(HasSubstr("is not there"), HasSubstr("--weights")));
  const std::string llama = shop.make_llama("llama.h5", 1);
  EXPECT_THAT(refused({"import", shop.path("adapter"), out, "--weights", llama}),
              HasSubstr("task_type is SEQ_2_SEQ_LM"));
}

TEST(Adapter, DamageAndOtherMethodsAreRefused) {
  const Workshop shop;
  make_adapter(shop);
  Json config = Json::parse(shop.read("adapter/adapter_config.json"));
  const std::string out = shop.path("out.h5");
  const auto refused = [&](const char* key, const Json& value) {
    Json changed = config;
    changed[key] = value;
    shop.write("adapter/adapter_config.json", changed.dump());
    const Outcome outcome = run_program({"import", shop.path("adapter"), out, "--weights", shop.model()});
    EXPECT_EQ(outcome.code, 2) << outcome.out << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    return outcome.err;
  };
  EXPECT_THAT(refused("peft_type", "ADALORA"), AllOf(HasSubstr("ADALORA"), HasSubstr("PREFIX_TUNING")));
  EXPECT_THAT(refused("num_virtual_tokens", 5),
              HasSubstr("'prompt_embeddings' has 4 rows, but adapter_config.json says 5"));
  EXPECT_THAT(refused("num_virtual_tokens", "four"), HasSubstr("must be a whole number"));
  EXPECT_THAT(run_program({"import", shop.model(), out, "--weights", shop.model()}).err,
              HasSubstr("is no adapter, since it has no adapter_config.json; only adapters take"));
  EXPECT_THAT(run_program({"import", shop.path("nowhere"), out}).err, HasSubstr("no such file or folder"));
  EXPECT_THAT(run_program({"import", shop.path("."), out, "--weights", shop.model()}).err,
              AllOf(HasSubstr("name one of the adapters in it: "), HasSubstr("/adapter)")));
  const Outcome served =
      run_program({"evaluate", shop.experiment(), "--prompt", "a=" + shop.path("adapter")});
  EXPECT_EQ(served.code, 2);
  EXPECT_THAT(served.err, HasSubstr("turn it into a checkpoint with trimtab import first"));
  EXPECT_THAT(
      run_program({"train", shop.experiment(), "--set", "method.init=file", "--set",
                   "method.init_file=" + shop.path("nothing"), "--set", "output=" + shop.path("next")})
          .err,
      HasSubstr("no such file or folder"));
}

// A tensor as PEFT would save it, of one map of the workshop's model.
NamedArray of_queries(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return {"base_model.model.decoder.block.0.layer.0.SelfAttention.q." + name,
          {rows, columns},
          std::vector<float>(static_cast<std::size_t>(rows * columns), 0.25F)};
}

std::string make_lora(const Workshop& shop, const Json& more) {
  Json config = {{"peft_type", "LORA"}, {"task_type", "SEQ_2_SEQ_LM"}, {"r", 1}, {"lora_alpha", 4}};
  config.update(more);
  write_peft_adapter(
      {"", config, {of_queries("lora_A.weight", 1, 16), of_queries("lora_B.weight", 8, 1)}, {}},
      shop.path("lora"));
  return shop.path("lora");
}

// What would be refused when it is used is refused before it is written.
TEST(Adapter, WhatNothingCouldUseIsNotImported) {
  const Workshop shop;
  const std::string out = shop.path("out.h5");
  const auto imported = [&](const Json& more) {
    return run_program({"import", make_lora(shop, more), out, "--weights", shop.model(), "--base", "b"});
  };
  const auto refused = [&](const char* key, const Json& value) {
    const Outcome outcome = imported({{key, value}});
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_FALSE(std::filesystem::exists(out));
    return outcome.err;
  };
  EXPECT_THAT(refused("lora_alpha", 0), AllOf(HasSubstr("nothing could use it"), HasSubstr("method.alpha")));
  EXPECT_THAT(refused("lora_alpha", -3), HasSubstr("method.alpha"));
  EXPECT_THAT(refused("lora_dropout", 2), HasSubstr("method.dropout"));
  EXPECT_EQ(imported(Json::object()).code, 0);
  // Queries, keys and values are one multiplication of the same inputs.
  write_peft_adapter(
      {"", {{"peft_type", "IA3"}, {"task_type", "SEQ_2_SEQ_LM"}}, {of_queries("ia3_l", 1, 16)}, {}},
      shop.path("ia3"));
  const std::string ia3 = shop.path("ia3.h5");
  const Outcome outcome =
      run_program({"import", shop.path("ia3"), ia3, "--weights", shop.model(), "--base", "b"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("nothing could use it"), HasSubstr("method.feed_forward")));
  EXPECT_FALSE(std::filesystem::exists(ia3));
}

TEST(Adapter, NumbersThatAreNotFiniteAreRefused) {
  const Workshop shop;
  make_adapter(shop);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    PeftAdapter adapter = read_peft_adapter(shop.path("adapter"));
    adapter.tensors.front().values.back() = bad;
    write_peft_adapter(adapter, shop.path("bad"));
    const Outcome outcome =
        run_program({"import", shop.path("bad"), shop.path("out.h5"), "--weights", shop.model()});
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_THAT(outcome.err, HasSubstr("'prompt_embeddings' has values that are not finite"));
    EXPECT_FALSE(std::filesystem::exists(shop.path("out.h5")));
    EXPECT_EQ(run_program(begun_with(shop, shop.path("bad"), "next")).code, 2);
    EXPECT_FALSE(std::filesystem::exists(shop.path("next")));
  }
}

// transformers calls a GGUF's model by its folder, which is no model.
TEST(Adapter, OfABaseThatIsNoModelHereNeedsItsName) {
  const Workshop shop;
  std::filesystem::create_directories(shop.path("models"));
  const std::string out = shop.path("out.h5");
  std::vector<std::string> arguments = {"import",
                                        make_lora(shop, {{"base_model_name_or_path", shop.path("models")}}),
                                        out, "--weights", shop.model()};
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("lora: belongs to '" + shop.path("models")), HasSubstr("add --base")));
  arguments.insert(arguments.end(), {"--base", shop.path("models")});
  EXPECT_EQ(run_program(arguments).code, 0);
}

TEST(Adapter, IsNotWrittenOverWhatIsThere) {
  const Workshop shop;
  make_adapter(shop);
  const std::string run = shop.path("run/best.h5"), adapter = shop.path("adapter");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", adapter, run, "--weights", shop.model()},
        {"import", shop.model(), run},
        {"export", run, adapter, "--base", "someone/tiny"},
        {"export", run, shop.write("prompt.npy", "a prompt")},
        {"export", run, shop.write("tuned.h5", "a model"), "--merge"},
        {"export", shop.model(), adapter}}) {
    const std::string before = shop.read("run/best.h5");
    const Outcome refused = run_program(arguments);
    EXPECT_EQ(refused.code, 2) << refused.out;
    EXPECT_THAT(refused.err, AllOf(HasSubstr(arguments[2] + ": is there already"), HasSubstr("--overwrite")));
    EXPECT_TRUE(shop.read("run/best.h5") == before);
  }
  EXPECT_EQ(shop.read("prompt.npy"), "a prompt");
  EXPECT_EQ(run_program({"export", run, shop.path("prompt.npy"), "--overwrite"}).code, 0);
  EXPECT_NE(shop.read("prompt.npy"), "a prompt");
  EXPECT_EQ(run_program({"export", run, adapter, "--overwrite"}).code, 0);
  EXPECT_EQ(run_program({"import", adapter, run, "--weights", shop.model(), "--overwrite"}).code, 0);
  std::filesystem::create_directories(shop.path("empty"));
  EXPECT_EQ(run_program({"export", run, shop.path("empty")}).code, 0);
}

TEST(Adapter, WhatPeftDoesNotHaveStaysHere) {
  const Workshop shop;
  const Outcome tuned = run_program({"train", shop.experiment(), "--set", "method={name: model_tuning}",
                                     "--set", "output=" + shop.path("tuned")});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const Outcome out = run_program({"export", shop.path("tuned/best.h5"), shop.path("adapter")});
  EXPECT_EQ(out.code, 2);
  EXPECT_THAT(out.err, HasSubstr("PEFT has no model_tuning"));
  // A prompt of an experiment that puts it behind the first token.
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const Checkpoint run(shop.path("run/best.h5"));
  CheckpointInfo info = run.info();
  const std::string first = "prompt_place: first";
  info.config.replace(info.config.find(first), first.size(), "prompt_place: after_begin");
  save_checkpoint(shop.path("behind.h5"), info, {{"prompt", run.value("prompt")}}, nullptr);
  const Outcome behind = run_program({"export", shop.path("behind.h5"), shop.path("adapter")});
  EXPECT_EQ(behind.code, 2);
  EXPECT_THAT(behind.err, HasSubstr("text.prompt_place: after_begin"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("adapter")));
}

}  // namespace
}  // namespace trimtab::testing
