// SPDX-License-Identifier: Apache-2.0
//
// The numbers that say what a prompt learned (Lester et al. 2021, section 7): norms, neighbours in the
// vocabulary, labels among them, likeness of prompts, and how far one moved. Pure functions; a cosine with a
// row of zeros is 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/prompt_file.h"

namespace trimtab {

struct PromptNorms {
  std::vector<double> rows;  // L2
  double least = 0, mean = 0, greatest = 0;
  double deviation = 0;  // of all elements, as one population
};
PromptNorms norms_of(const PromptMatrix& prompt);

// A piece that is among the neighbours of several rows.
struct SharedNeighbour {
  std::int64_t id = 0;
  std::vector<std::size_t> rows;
};
// Of what nearest_rows() gave: pieces of at least two rows, those of most rows first.
std::vector<SharedNeighbour> shared_neighbours(const std::vector<std::vector<Neighbour>>& nearest);
// Different pieces that are the very nearest of some row.
std::size_t distinct_nearest(const std::vector<std::vector<Neighbour>>& nearest);

struct LabelPieces {
  std::string label;
  std::vector<std::int64_t> ids;  // at least one
};
// A label of several pieces is looked for as the mean of their embeddings, as it is in a prompt that begins
// with class labels.
struct LabelHit {
  std::string label;
  std::vector<std::size_t> rows;  // rows that have at most count - 1 pieces nearer than the label
  std::size_t best_row = 0;       // where it stands highest
  std::int64_t place = 0;         // there, 1 for the nearest of all
  double cosine = 0.0;            // there
};
// `table` holds the embeddings [pieces, width], row-major.
std::vector<LabelHit> label_hits(const PromptMatrix& prompt, const std::vector<float>& table,
                                 const std::vector<LabelPieces>& labels, std::size_t count);
// How many labels some row has.
std::size_t labels_hit(const std::vector<LabelHit>& hits);

struct PromptLikeness {
  double averaged = 0;    // cosine of the mean rows (Vu et al. 2022, section 3.2)
  double best_match = 0;  // mean over the rows of both of the largest cosine with a row of the other
};
// Throws ConfigError that names both when their widths differ.
PromptLikeness likeness(const PromptMatrix& a, const PromptMatrix& b);

struct PromptMovement {
  double start_norm = 0, distance = 0;  // Frobenius
  std::vector<double> rows;             // distance of each row
  std::vector<double> cosines;          // of each row with what it was
};
// Throws ConfigError that names both when their shapes differ.
PromptMovement movement(const PromptMatrix& prompt, const PromptMatrix& start);

// What metrics.jsonl says of a step: the distance from the start. Nothing if it has no such line.
std::optional<double> recorded_movement(const std::string& metrics, std::int64_t step);

}  // namespace trimtab
