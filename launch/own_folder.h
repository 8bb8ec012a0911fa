// SPDX-License-Identifier: Apache-2.0
//
// A folder that no other job uses, for what the ranks of a job without a run of its own write (job.h): its
// name is the same on all ranks and known before MPI starts. Made before the Job and gone after it, so that
// nobody writes there any more when it is removed.
#pragma once

#include <string>
#include <vector>

namespace trimtab {

class OwnFolder {
 public:
  enum class AfterFailure { kGoes, kStays };

  // PARENT/VERB-JOB, by what the launcher calls this job; it is made by whoever writes there first. What is
  // not there yet of PARENT goes with it, if it is empty then.
  OwnFolder(std::string parent, const std::string& verb, AfterFailure after_failure);
  // Removes it, unless it stays and an error is on its way. Each rank what it sees: hosts may not share it.
  ~OwnFolder();
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;

  const std::string& name() const { return name_; }
  std::string path() const { return parent_ + "/" + name_; }

 private:
  std::string parent_;
  std::vector<std::string> absent_;  // of parent_, the innermost first
  std::string name_;
  AfterFailure after_failure_;
  int exceptions_;  // on their way when this was made
};

}  // namespace trimtab
