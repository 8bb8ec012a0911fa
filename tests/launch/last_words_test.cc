// SPDX-License-Identifier: Apache-2.0
#include "launch/last_words.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "data/temp_folder.h"

namespace trimtab {
namespace {

using namespace std::chrono_literals;

bool says(const std::string& text, int rank, const std::string& folder) {
  bool said = false;
  say_once(text, {rank, folder, 0ms}, [&] { said = true; });
  return said;
}

TEST(LastWords, OfTheSameTextAreSaidOnce) {
  const TempFolder folder;
  EXPECT_TRUE(says("the mesh", 0, folder.path()));
  EXPECT_FALSE(says("the mesh", 1, folder.path()));
  EXPECT_FALSE(says("the mesh", 7, folder.path()));
  EXPECT_TRUE(says("another text", 2, folder.path()));
}

TEST(LastWords, OneOfAHostWithoutTheFirstRankSaysThem) {
  const TempFolder folder;
  EXPECT_TRUE(says("the disk", 5, folder.path()));
  EXPECT_FALSE(says("the disk", 4, folder.path()));
  EXPECT_TRUE(says("the disk", 0, folder.path())) << "the first one always speaks";
}

TEST(LastWords, AreSaidByAllWhereNobodyCanKnow) {
  const TempFolder folder;
  for (const std::string& place : {std::string(), folder.file("none")})
    for (const int rank : {0, 1, 2}) EXPECT_TRUE(says("the mesh", rank, place)) << rank;
}

TEST(LastWords, OfAnEarlierJobDoNotCount) {
  const TempFolder folder;
  EXPECT_TRUE(says("the mesh", 3, folder.path()));
  for (const auto& mark : std::filesystem::directory_iterator(folder.path()))
    std::filesystem::last_write_time(mark, std::filesystem::file_time_type::clock::now() - 1h);
  EXPECT_TRUE(says("the mesh", 3, folder.path()));
  EXPECT_FALSE(says("the mesh", 4, folder.path()));
}

}  // namespace
}  // namespace trimtab
