// SPDX-License-Identifier: Apache-2.0
//
// Texts that a model answers, each through the prompt of its lane: by greedy generation or by the likeliest
// label, every question exactly once over all replicas, sorted by length into micro-batches of a token
// budget that rows of different lanes share. Owns the packed rows, so that they are packed once.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "experiments/label_ranking.h"
#include "experiments/model_runner.h"

namespace trimtab {

struct AnswerOptions {
  std::int64_t max_target = 8;                     // most tokens that are generated, end of sequence included
  std::int64_t batch_tokens = 8192;                // of inputs, prompts and targets in a micro-batch
  std::vector<std::int64_t> lane_positions = {0};  // in front of each row of a lane
  const LabelRanking* ranking = nullptr;           // chooses the answers; null: they are generated
  // Which lane an example goes through; empty: each through every lane.
  std::function<std::int32_t(const TextExample&)> lane_of{};
};

// An example through a lane.
struct Question {
  std::size_t example = 0;
  std::int32_t lane = 0;
};

// Every example through every lane; those of an example behind each other.
std::vector<Question> through_every_lane(std::size_t examples, std::size_t lanes);

class Questions {
 public:
  // Recipe and ranking must outlive this, the store of the examples' rows need not. Throws ConfigError if a
  // row is over the budget.
  Questions(const TextRecipe& recipe, const ExampleStore& store, const std::vector<Question>& questions,
            AnswerOptions options);

  // In the order of the questions. Collective over all ranks, each of which gets all answers. `should_stop`
  // is asked between rounds of micro-batches; when it says yes on any rank, Interrupted is thrown on all.
  std::vector<std::string> answers(ModelRunner& runner, const std::function<bool()>& should_stop = {}) const;

 private:
  // Of the questions so far: what was generated, or how likely each label is.
  struct Found {
    std::vector<std::string> texts;
    std::vector<float> likelihoods;      // [questions, labels], 0 for those of other replicas
    std::vector<std::size_t> questions;  // of this replica
  };
  // Answers the micro-batches [begin, end) that are this replica's turn.
  void answer(ModelRunner& runner, std::size_t begin, std::size_t end, Found& found) const;
  // Of all replicas, in the order of the questions.
  std::vector<std::string> gather(Communicator& replicas, Found found) const;

  const TextRecipe& recipe_;
  AnswerOptions options_;
  std::size_t count_;
  std::vector<Batch> batches_;
};

// Not an error: somebody asked the program to end.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace trimtab
