// SPDX-License-Identifier: Apache-2.0
//
// Which experiments a checkpoint may be used in, by the experiment that it carries.
#include "experiments/same_use.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "data/temp_folder.h"
#include "experiments/message_of.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::Eq;
using ::testing::HasSubstr;

class SameUse : public testing::Test {
 protected:
  // What using a checkpoint of the experiment `trained` in the experiment `now` is answered.
  std::string answer(const std::string& trained, const std::string& now,
                     const std::string& tensor = "prompt") {
    CheckpointInfo info;
    const ExperimentConfig was = experiment(trained);
    info.method = was.method.name();
    info.config = trained;
    save_checkpoint(folder_.file("run.h5"), info, {{tensor, at::ones({4, 4})}}, nullptr);
    const Checkpoint checkpoint(folder_.file("run.h5"));
    return message_of([&] { check_same_use(checkpoint, experiment(now)); });
  }

 private:
  static ExperimentConfig experiment(const std::string& yaml) {
    return read_experiment(parse_yaml("output: out\nmodel: {weights: w}\ntask: {name: rte}\n" + yaml, "test"),
                           {});
  }
  TempFolder folder_;
};

std::string text(const std::string& written, const std::string& more = "") {
  return "method: {name: prompt_tuning, length: 4}\ntext: {template: '" + written + "'" + more + "}\n";
}

TEST_F(SameUse, PlacesOfAPrompt) {
  const auto works = [&](const std::string& trained, const std::string& now) {
    EXPECT_THAT(answer(trained, now), Eq("nothing was thrown")) << trained << now;
  };
  works(text("{input}"), text("{prompt}{input} Category:"));
  works(text("{input}{prompt}"), text("so {input}{prompt:4} it is"));
  works(text("a {prompt}{input}{prompt}"), text("b {prompt:2}{input}{prompt}"));
  works("method: {name: prompt_tuning}\n", text("{input}"));  // an adapter of others
  works(text("{shots}{input}"), text("{input}"));
  const auto refused = [&](const std::string& trained, const std::string& now) {
    EXPECT_THAT(answer(trained, now), AllOf(HasSubstr("run.h5"), HasSubstr("use the places")))
        << trained << now;
  };
  refused(text("{input}{prompt}"), text("{input}"));
  refused("method: {name: prompt_tuning}\n", text("{input}{prompt}"));
  refused(text("a {prompt}{input}"), text("a {input}"));
  refused(text("{prompt:1}{input}{prompt:3}"), text("{prompt}{input}{prompt}"));
  refused(text("{input}", ", prompt_place: after_begin"), text("{input}"));
}

TEST_F(SameUse, OptionsThatTensorsDoNotShow) {
  const auto lora = [](const std::string& alpha) { return "method: {name: lora, alpha: " + alpha + "}\n"; };
  EXPECT_THAT(answer(lora("64"), lora("64.0")), Eq("nothing was thrown"));
  EXPECT_THAT(answer(lora("64"), lora("1")), HasSubstr("set method.alpha to 64"));
  const std::string factors = "decoder.block.0.layer.0.SelfAttention.o.ia3";
  const auto ia3 = [](const std::string& options) { return "method: {name: ia3" + options + "}\n"; };
  EXPECT_THAT(answer(ia3(", targets: [o]"), ia3(", targets: [o, k]"), factors), Eq("nothing was thrown"));
  // Both fit a square map.
  EXPECT_THAT(answer(ia3(", feed_forward: [o]"), ia3(", targets: [o]"), factors),
              AllOf(HasSubstr("the inputs of decoder.block.0.layer.0.SelfAttention.o were trained"),
                    HasSubstr("feed_forward: [o]")));
  const std::string wo = "decoder.block.0.layer.2.DenseReluDense.wo.ia3";
  EXPECT_THAT(answer(ia3(""), ia3(", targets: [k, v], feed_forward: [wo]"), wo), Eq("nothing was thrown"));
}

}  // namespace
}  // namespace trimtab
