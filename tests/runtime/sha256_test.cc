// SPDX-License-Identifier: Apache-2.0
#include "runtime/sha256.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime/check.h"

namespace trimtab {
namespace {

// FIPS 180-4 examples.
constexpr auto kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr auto kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr auto kMillionA = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), kEmpty);
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), kMillionA);
}

TEST(Sha256, PiecesAreTheWhole) {
  Sha256 hash;
  EXPECT_EQ(hash.hex(), kEmpty);
  hash.update("a");
  hash.update("");
  hash.update("bc", 2);
  EXPECT_EQ(hash.hex(), kAbc);
  EXPECT_EQ(hash.hex(), kAbc) << "asking twice changes nothing";
}

TEST(Sha256, Files) {
  const auto path = std::filesystem::path(testing::TempDir()) / "trimtab_sha256_test.bin";
  std::ofstream(path, std::ios::binary) << std::string(1000000, 'a');
  EXPECT_EQ(sha256_file(path.string()), kMillionA);
  // Exactly one buffer, and one buffer and one byte.
  for (const std::size_t size : {std::size_t{1} << 20, (std::size_t{1} << 20) + 1}) {
    const std::string bytes(size, 'x');
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_EQ(sha256_file(path.string()), sha256_hex(bytes));
  }
  std::filesystem::remove(path);
}

TEST(Sha256, NamesTheFileThatCannotBeRead) {
  try {
    sha256_file("/no/such/file");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "/no/such/file: cannot open the file to hash it: No such file or directory");
  }
  EXPECT_THROW(sha256_file(testing::TempDir()), Error) << "a folder";
}

}  // namespace
}  // namespace trimtab
