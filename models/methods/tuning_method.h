// SPDX-License-Identifier: Apache-2.0
//
// A tuning method turns a frozen stage into a trainable one by attaching adapters to its sites, and says
// which tensors are trained: those and no others are reduced, stepped and saved. A method owns its adapters
// and must outlive its use of the stage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"
#include "runtime/config.h"
#include "runtime/registry.h"

namespace trimtab {

// What a method may need to know of the task and its text; models know neither by themselves.
struct MethodContext {
  std::vector<std::string> labels;  // class labels of the task, empty for free text
  std::function<std::vector<std::int32_t>(const std::string&)> encode;  // text -> ids, no end of sequence
  std::vector<PromptPlace> places = {{}};  // where trained positions go in an input
  std::int64_t pieces = 0;  // ids that are pieces of text: sentinels and padding rows come after them
  std::uint64_t seed = 0;
};

class TuningMethod {
 public:
  virtual ~TuningMethod() = default;

  // Attaches to the stage and returns what is trained there, at its initial values. Called once. Collective
  // over the stage's tensor ranks. Throws ConfigError when the options do not fit the model or the task.
  virtual Parameters attach(ModelStage& stage, const MethodContext& context) = 0;

  // Switches the effect of the method off and on again, to show that it has one. Methods that train the base
  // itself have nothing to switch and return false.
  virtual bool set_enabled(ModelStage& stage, bool enabled) = 0;

  // What a network that is trained in place of it comes to, on this rank: saved beside the network, and all
  // that is needed afterwards. Nothing where the result itself is trained.
  virtual std::vector<NamedSlice> results() const { return {}; }

  // What is put around each input: a text with `{input}` in it.
  virtual std::string input_template() const { return "{input}"; }

  // Positions that each row has more at the input, for checking lengths and planning memory before any weight
  // is read.
  virtual std::int64_t extra_positions() const { return 0; }
  // And in front of the decoder's input, of an encoder-decoder.
  virtual std::int64_t decoder_positions() const { return 0; }
  // Both: what a row counts for in a micro-batch beside its tokens.
  std::int64_t row_positions() const { return extra_positions() + decoder_positions(); }
  // extra_positions() of each lane; the longest is what that returns.
  virtual std::vector<std::int64_t> lane_positions() const { return {extra_positions()}; }

  // Positions that each row has more in some attention, which a model must have been trained for.
  virtual std::int64_t attention_positions() const { return extra_positions(); }

  // Whether the base itself is trained.
  virtual bool trains_base() const { return false; }
  // Whether anything is trained at all.
  virtual bool trains() const { return true; }

  // The learning rate used where the experiment names none; 0: the preset's.
  virtual double suggested_learning_rate() const { return 0.0; }
};

using MethodFactory = std::function<std::unique_ptr<TuningMethod>(Subtree& options)>;

// One line a method.
const Registry<MethodFactory>& method_registry();

// Reads the options of the method that `options` names, strictly.
std::unique_ptr<TuningMethod> make_method(Subtree& options);

}  // namespace trimtab
