// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_session.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <exception>

#include "runtime/check.h"
#include "runtime/mpi_transfer.h"

namespace trimtab {

namespace {

constexpr const char* kWhere = "starting MPI";

void initialize() {
  int before = 0;
  detail::check_mpi(MPI_Initialized(&before), kWhere);
  if (before) fail("{}: MPI was initialised before; a process has one session", kWhere);
  // Backward passes may run on threads of LibTorch's, while the thread that called them waits.
  int provided = MPI_THREAD_SINGLE;
  detail::check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), kWhere);
  detail::check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), kWhere);
  if (provided < MPI_THREAD_SERIALIZED)
    fail("{}: {} allows calls from the main thread only; use a build with thread support", kWhere,
         MpiSession::library());
}

int int_of(int (*ask)(MPI_Comm, int*), MPI_Comm comm) {
  int answer = 0;
  detail::check_mpi(ask(comm, &answer), kWhere);
  return answer;
}

}  // namespace

MpiSession::MpiSession() : handle_(std::make_unique<Handle>()), exceptions_(std::uncaught_exceptions()) {
  initialize();
  detail::check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->comm), kWhere);
  detail::check_mpi(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), kWhere);
  rank_ = int_of(MPI_Comm_rank, handle_->comm);
  size_ = int_of(MPI_Comm_size, handle_->comm);

  MPI_Comm node = MPI_COMM_NULL;
  detail::check_mpi(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
                    kWhere);
  local_rank_ = int_of(MPI_Comm_rank, node);
  local_size_ = int_of(MPI_Comm_size, node);
  detail::check_mpi(MPI_Comm_free(&node), kWhere);

  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  detail::check_mpi(MPI_Get_processor_name(name.data(), &length), kWhere);
  host_.assign(name.data(), static_cast<std::size_t>(length));

  int* bound = nullptr;
  int found = 0;
  detail::check_mpi(MPI_Comm_get_attr(handle_->comm, MPI_TAG_UB, static_cast<void*>(&bound), &found), kWhere);
  handle_->greatest_tag = found ? *bound : 32767;  // what the standard promises at least
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > exceptions_) return;
  MPI_Comm_free(&handle_->comm);
  MPI_Finalize();
}

std::string MpiSession::library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  detail::check_mpi(MPI_Get_library_version(text.data(), &length), kWhere);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

void MpiSession::end_job(int code) {
  int begun = 0, ended = 0;
  if (MPI_Initialized(&begun) != MPI_SUCCESS || begun == 0) return;
  if (MPI_Finalized(&ended) != MPI_SUCCESS || ended != 0) return;
  std::signal(SIGALRM, SIG_DFL);
  ::alarm(kLauncherAnswers);
  MPI_Abort(MPI_COMM_WORLD, code);
}

}  // namespace trimtab
