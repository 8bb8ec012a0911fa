// SPDX-License-Identifier: Apache-2.0
//
// Calls of MPI that fail at once, as they do where MPI finds a rank gone: this program puts itself between
// the communicator and MPI (MPI's profiling interface) and lets the n-th call of a kind fail. All ranks fail
// alike.
#include <gmock/gmock.h>
#include <mpi.h>

#include <chrono>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/mpi_communicator.h"
#include "runtime/mpi_test_main.h"

namespace {

// How many more calls succeed; -1: all.
int isends = -1, irecvs = -1, testsomes = -1;

bool fails(int& left) { return left >= 0 && left-- == 0; }

}  // namespace

extern "C" {

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  return fails(isends) ? MPI_ERR_OTHER : PMPI_Isend(data, count, type, to, tag, comm, request);
}
int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request* request) {
  return fails(irecvs) ? MPI_ERR_OTHER : PMPI_Irecv(data, count, type, from, tag, comm, request);
}
int MPI_Testsome(int count, MPI_Request* requests, int* ended, int* indices, MPI_Status* statuses) {
  return fails(testsomes) ? MPI_ERR_OTHER : PMPI_Testsome(count, requests, ended, indices, statuses);
}

}  // extern "C"

namespace trimtab {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct Fault {
  std::string call;
  int* left;
  int after;           // calls that succeed
  std::int64_t count;  // elements; many do not travel inside their header
  bool named;          // MPI's answer is about one rank

  friend void PrintTo(const Fault& it, std::ostream* out) { *out << it.call << " " << it.after; }
};

class MpiError : public testing::TestWithParam<Fault> {};

TEST_P(MpiError, IsAFailureOfThePeerFromThenOn) {
  const Fault& fault = GetParam();
  std::vector<int> members(static_cast<std::size_t>(test_session().size()));
  std::iota(members.begin(), members.end(), 0);
  const auto ranks = mpi_communicator(test_session(), members, "ranks", {.deadline = 20s});
  // No rank fails before the others have come.
  ranks->barrier();
  std::vector<float> values(static_cast<std::size_t>(fault.count), 1.0f);
  const auto reduce = [&] {
    ranks->all_reduce({values.data(), fault.count, DType::kFloat32}, ReduceOp::kSum, Traffic::kGradient);
  };
  *fault.left = fault.after;
  for (int times = 0; times < 2; ++times) {
    try {
      reduce();
      ADD_FAILURE() << "nothing failed";
    } catch (const PeerFailure& failure) {
      EXPECT_NE(failure.rank(), test_session().rank());
      EXPECT_EQ(failure.rank() >= 0, fault.named || test_session().size() == 2);
      EXPECT_THAT(failure.what(), HasSubstr(fault.call + ": MPI_ERR_OTHER"));
      EXPECT_THAT(failure.what(), HasSubstr("on 'ranks', all_reduce sum of"));
    }
    EXPECT_EQ(*fault.left, -1) << "MPI is asked no more";
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, MpiError,
                         testing::Values(Fault{"MPI_Isend", &isends, 0, 4, true},
                                         Fault{"MPI_Irecv", &irecvs, 0, 4, true},
                                         Fault{"MPI_Testsome", &testsomes, 0, 4, false}),
                         [](const auto& tested) { return tested.param.call; });

// The body of a message that did not fit into its header: this rank asks for it when the header has come.
TEST(MpiError, OfTheBodyOfAMessage) {
  const int size = test_session().size();
  std::vector<int> members(static_cast<std::size_t>(size));
  std::iota(members.begin(), members.end(), 0);
  const auto ranks = mpi_communicator(test_session(), members, "ranks", {.deadline = 20s});
  ranks->barrier();
  std::vector<float> values(2'000, 1.0f);
  irecvs = size - 1;  // one header from each of the others
  EXPECT_THROW(ranks->all_reduce({values.data(), 2'000, DType::kFloat32}, ReduceOp::kSum, Traffic::kGradient),
               PeerFailure);
  irecvs = -1;
}

}  // namespace
}  // namespace trimtab
