// SPDX-License-Identifier: Apache-2.0
//
// Event files are read back by a small parser that shares nothing with the writer: the checksum goes bit by
// bit, and the protocol buffers are taken apart by the wire format.
#include "experiments/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::uint32_t slow_masked_checksum(const std::string& bytes) {
  std::uint64_t remainder = 0xffffffffu;
  for (const char c : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      const bool one = ((remainder ^ (static_cast<unsigned char>(c) >> bit)) & 1u) != 0;
      remainder = (remainder >> 1) ^ (one ? 0x82f63b78u : 0u);
    }
  const auto crc = static_cast<std::uint32_t>(remainder ^ 0xffffffffu);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <typename T>
T read_as(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Field number -> raw value; a varint is kept as eight bytes.
std::map<int, std::string> fields_of(const std::string& message) {
  std::map<int, std::string> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const std::uint64_t key = varint();
    std::string value(8, '\0');
    if (key % 8 == 0) {
      const std::uint64_t number = varint();
      std::memcpy(value.data(), &number, 8);
    } else {
      const std::size_t size = key % 8 == 1 ? 8 : key % 8 == 5 ? 4 : varint();
      EXPECT_TRUE(key % 8 == 1 || key % 8 == 5 || key % 8 == 2);
      EXPECT_LE(at + size, message.size());
      value = message.substr(at, size);
      at += size;
    }
    fields[static_cast<int>(key / 8)] = value;
  }
  return fields;
}

std::vector<std::map<int, std::string>> events_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::map<int, std::string>> events;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = read_as<std::uint64_t>(bytes, at);
    EXPECT_EQ(read_as<std::uint32_t>(bytes, at + 8), slow_masked_checksum(bytes.substr(at, 8)));
    const std::string data = bytes.substr(at + 12, size);
    EXPECT_EQ(read_as<std::uint32_t>(bytes, at + 12 + size), slow_masked_checksum(data));
    events.push_back(fields_of(data));
    at += 16 + size;
  }
  return events;
}

class TensorBoardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = ::testing::TempDir() + "tensorboard_" + test->name();
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(TensorBoardTest, ScalarsReadBack) {
  double now = 1700000000.5;
  TensorBoardWriter writer(folder_ + "/tb", "host", [&] { return now; });
  EXPECT_EQ(writer.path(), folder_ + "/tb/events.out.tfevents.1700000000.host");
  now += 2.0;
  const std::string long_tag(200, 'x');
  writer.add_scalar("train/loss", 3, 0.625);
  writer.add_scalar(long_tag, 1100000, -1e-20);
  writer.flush();

  const auto events = events_of(writer.path());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].at(3), "brain.Event:2");
  EXPECT_EQ(read_as<double>(events[0].at(1), 0), 1700000000.5);
  EXPECT_EQ(read_as<double>(events[2].at(1), 0), 1700000002.5);
  EXPECT_EQ(read_as<std::int64_t>(events[2].at(2), 0), 3);
  const auto value = fields_of(fields_of(events[2].at(5)).at(1));
  EXPECT_EQ(value.at(1), "train/loss");
  EXPECT_EQ(read_as<float>(value.at(2), 0), 0.625f);
  EXPECT_EQ(read_as<std::int64_t>(events[3].at(2), 0), 1100000);
  const auto second = fields_of(fields_of(events[3].at(5)).at(1));
  EXPECT_EQ(second.at(1), long_tag);
  EXPECT_EQ(read_as<float>(second.at(2), 0), -1e-20f);
}

TEST_F(TensorBoardTest, EachRunHasItsOwnFileAndDropsTheOldStepsFromItsFirstOne) {
  const auto clock = [] { return 42.0; };
  TensorBoardWriter first(folder_, "host", clock);
  TensorBoardWriter second(folder_, "host", clock, 500);
  TensorBoardWriter third(folder_, "host", clock, 700);
  EXPECT_THAT(first.path(), EndsWith("events.out.tfevents.0000000042.host"));
  EXPECT_THAT(second.path(), EndsWith("events.out.tfevents.0000000042.host.1"));
  EXPECT_THAT(third.path(), EndsWith("events.out.tfevents.0000000042.host.2"));
  // Also a run that was killed before it saved anything and begins anew.
  const auto begun = events_of(first.path());
  ASSERT_EQ(begun.size(), 2u);
  EXPECT_EQ(read_as<std::int64_t>(begun[1].at(2), 0), 0);
  EXPECT_EQ(read_as<std::int64_t>(fields_of(begun[1].at(7)).at(1), 0), 1);
  const auto events = events_of(second.path());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(read_as<std::int64_t>(events[1].at(2), 0), 500);
  EXPECT_EQ(read_as<std::int64_t>(fields_of(events[1].at(7)).at(1), 0), 1);
}

TEST_F(TensorBoardTest, NamesTheFolderThatCannotBe) {
  std::ofstream(folder_) << "a file";
  EXPECT_THAT([&] { TensorBoardWriter(folder_, "host", [] { return 0.0; }); },
              ThrowsMessage<Error>(HasSubstr(folder_)));
}

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Checksum, KnownAnswers) {
  EXPECT_EQ(detail::crc32c(""), 0u);
  EXPECT_EQ(detail::crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(detail::crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(detail::crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(detail::masked_crc32c("123456789"), slow_masked_checksum("123456789"));
}

}  // namespace
}  // namespace trimtab
