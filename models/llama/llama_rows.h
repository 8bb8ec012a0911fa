// SPDX-License-Identifier: Apache-2.0
//
// How a decoder-only model reads a micro-batch: one causal row of [input | targets without the last one],
// with the prompt among the tokens of the input, but never behind its last one, with which decoding begins.
// What is known of it without any tensor of
// another stage, so that every stage builds it by itself.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/input_rows.h"
#include "parallel/micro_batch.h"

namespace trimtab {

struct JointRows {
  RowLayout text;    // tokens from the table
  at::Tensor ids;    // of them, int64 [text.tokens()]
  RowLayout layout;  // the positions of prompts included
};

// Inputs and targets, with the positions of `adapter` unless it is null. Throws Error for a row in which
// nothing stands before the first target.
JointRows joint_rows(const MicroBatch& batch, const InputAdapter* adapter);

// Inputs without their last token, which is where decoding begins.
JointRows prefix_rows(const MicroBatch& batch, const InputAdapter* adapter);
// That last token of each row, int64 [rows].
at::Tensor last_input_ids(const MicroBatch& batch);

// The positions whose next token is a target, int64 [target tokens]: the last ones of each row.
at::Tensor scored_positions(const JointRows& rows, const RowLayout& targets);

}  // namespace trimtab
