// SPDX-License-Identifier: Apache-2.0
//
// OUTPUT/environment.json: what the latest part of a run was started with, beside record.json, which says
// what came of it. The command line, what program and experiment file were built and taken from, the hosts of
// the ranks, and the variables of launchers and libraries that change what a run does; no other variable,
// since they may hold secrets.
#pragma once

#include <string>

#include "runtime/world.h"

namespace trimtab {

// An experiment file, and the commit of the git work tree that it lies in; "" where there is none, or no git.
struct SourceFile {
  std::string path;
  std::string commit;
  bool dirty = false;  // the work tree has changes that are not committed
};

// Starts git for a few seconds at most: to be called before MPI, which may not like it. Only the first rank
// asks.
SourceFile source_of(const std::string& path);

// Rank 0 writes; collective. For whoever has the run's lock.
void write_environment(const std::string& output, const SourceFile& source, World& world);

}  // namespace trimtab
