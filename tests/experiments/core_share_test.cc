// SPDX-License-Identifier: Apache-2.0
#include "experiments/core_share.h"

#include <gmock/gmock.h>

namespace trimtab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(CoreShare, RanksThatAreBoundOwnTheirCores) {
  const std::vector<RankCores> ranks = {{"a", {0, 1}}, {"a", {2, 3, 4}}, {"b", {0, 1}}};
  const CoreShare first = share_of(ranks[0], ranks), second = share_of(ranks[1], ranks);
  EXPECT_EQ(first.ranks, 2);
  EXPECT_EQ(first.cores, 2);
  EXPECT_EQ(first.host_cores, 5);
  EXPECT_EQ(second.cores, 3);
  EXPECT_EQ(share_of(ranks[2], ranks).ranks, 1);
  EXPECT_EQ(share_of(ranks[2], ranks).cores, 2);
}

TEST(CoreShare, RanksThatAreNotBoundShareAll) {
  const std::vector<RankCores> ranks(3, {"a", {0, 1, 2, 3, 4, 5}});
  EXPECT_EQ(share_of(ranks[0], ranks).cores, 2);
  EXPECT_EQ(share_of(ranks[0], ranks).host_cores, 6);
  const std::vector<RankCores> many(4, {"a", {0, 1}});
  EXPECT_EQ(share_of(many[0], many).cores, 1) << "a rank computes in any case";
}

TEST(CoreShare, PartsOfACoreAddUp) {
  // Two ranks on each half of six cores, as mpirun binds to sockets.
  const std::vector<RankCores> ranks = {{"a", {0, 1, 2, 3}}, {"a", {0, 1, 2, 3}}, {"a", {4, 5}}};
  EXPECT_EQ(share_of(ranks[0], ranks).cores, 2);
  EXPECT_EQ(share_of(ranks[2], ranks).cores, 2);
}

TEST(CoreShare, ATaskOfSlurmOwnsWhatItWasGiven) {
  const std::vector<int> all_cores = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<RankCores> ranks(2, {"a", all_cores, 3});
  EXPECT_EQ(share_of(ranks[0], ranks).cores, 3) << "of the four that its part would be";
  EXPECT_EQ(share_of(ranks[0], ranks).host_cores, 6);
  const std::vector<RankCores> many(4, {"a", all_cores, 3});
  EXPECT_EQ(share_of(many[0], many).cores, 2) << "the tasks were given more than they may use";
  EXPECT_EQ(share_of(many[0], many).host_cores, 8);
}

TEST(CoreShare, RanksOfAHostShareTheQuotaOfItsControlGroup) {
  const std::vector<int> all_cores = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<RankCores> ranks = {
      {"a", all_cores, 0, 5}, {"a", all_cores, 0, 5}, {"b", all_cores, 0, 0}};
  EXPECT_EQ(share_of(ranks[0], ranks).cores, 2);
  EXPECT_EQ(share_of(ranks[0], ranks).host_cores, 5);
  EXPECT_EQ(share_of(ranks[2], ranks).cores, 8);
  const std::vector<RankCores> alone = {{"a", all_cores, 0, 1}};
  EXPECT_EQ(share_of(alone[0], alone).cores, 1);
}

TEST(CoreShare, TheSettingCountsThenTheVariableThenTheCores) {
  EXPECT_EQ(choose_threads(3, {.threads = 2}, 8).threads, 3);
  EXPECT_EQ(choose_threads(0, {}, 8).threads, 8);
  const ThreadChoice chosen = choose_threads(0, {.threads = 2}, 8);
  EXPECT_EQ(chosen.threads, 2);
  EXPECT_TRUE(chosen.leaves_cores);
  EXPECT_THAT(chosen.why,
              AllOf(HasSubstr("2 threads by OMP_NUM_THREADS"), HasSubstr("owns 8 cores: unset it")));
  EXPECT_FALSE(choose_threads(0, {.threads = 8}, 8).leaves_cores);
}

TEST(CoreShare, SaysWhenThereAreMoreThreadsThanCores) {
  const CoreShare share{"node-b", 4, 2, 8};
  EXPECT_EQ(oversubscription_warning(share, 2), "");
  EXPECT_THAT(oversubscription_warning(share, 3),
              AllOf(HasSubstr("4 ranks with 3 threads each share 8 cores on node-b"),
                    HasSubstr("model.threads to 2")));
  EXPECT_THAT(oversubscription_warning({"a", 4, 1, 2}, 1), Not(HasSubstr("model.threads")));
}

}  // namespace
}  // namespace trimtab
