// SPDX-License-Identifier: Apache-2.0
//
// This process as a rank of an MPI job, from MPI_Init to MPI_Finalize: main owns one, and it outlives every
// communicator made from it. MPI is initialised for calls from any thread, one at a time; only
// end_job() may come beside another call. Errors of MPI become exceptions.
#pragma once

#include <memory>
#include <string>

namespace trimtab {

class MpiSession {
 public:
  // Collective over all ranks of the job. A process has one session in its life. Throws Error if there was
  // one already or if the library allows calls from the main thread only.
  MpiSession();
  // Collective over all ranks of the job, except while an exception passes: finalizing then would wait for
  // ranks that wait for this one. The launcher ends the job when such a process exits.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Among the ranks that share this host's memory.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  const std::string& host() const { return host_; }
  // "Open MPI v4.1.4, ..."
  static std::string library();

  // Ends all ranks of the job, with `code` (1 to 255) as the launcher's exit status; from any thread, at any
  // time. Without a word: what a rank threw was said before. Nothing where MPI does not run. Ranks that wait
  // for this one would else do so until the launcher sees that it is gone. A process whose launcher does not
  // answer is ended by SIGALRM after kLauncherAnswers seconds.
  static void end_job(int code);
  static constexpr unsigned kLauncherAnswers = 10;

  // What the communicators need of MPI; defined beside them.
  struct Handle;
  Handle& handle() { return *handle_; }

 private:
  std::unique_ptr<Handle> handle_;
  int exceptions_;
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  std::string host_;
};

}  // namespace trimtab
