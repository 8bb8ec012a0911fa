// SPDX-License-Identifier: Apache-2.0
//
// Which rows of a step a replica computes. Every replica works it out by itself from the whole batch, so that
// no rows travel, and rows keep their sample numbers, so that a run does not depend on the number of
// replicas.
#pragma once

#include "data/batch.h"

namespace trimtab {

// The rows of `replica`: as many as every other replica has, give or take one, and about as many tokens,
// since rows are dealt out longest first, there and back. In the order of the batch.
Batch replica_share(const Batch& batch, int replicas, int replica);

}  // namespace trimtab
