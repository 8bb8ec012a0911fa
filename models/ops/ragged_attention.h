// SPDX-License-Identifier: Apache-2.0
//
// Attention over ragged token-major rows as blocks of threads compute it: a block has one tile of queries
// (or, for the gradients of keys and values, of keys) of one head of one row, and passes over the other side
// tile by tile with an online softmax (Milakov, Gimelshein 2018; Dao et al. 2022). All arithmetic is here,
// for the host and for devices: a block is a sequence of phases, run by each of its threads, with a barrier
// after each one. A Team runs them: a GPU's by its threads (attention_cuda.cu), the host's (HostTeam) one
// thread after the other, so that the same source is tested where there is no GPU. Plain C++, without
// LibTorch.
#pragma once

#include "models/ops/ragged_backward.h"
#include "models/ops/ragged_forward.h"
