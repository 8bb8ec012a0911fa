// SPDX-License-Identifier: Apache-2.0
#include "experiments/metrics_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class MetricsLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / (std::string("metrics_log_") + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "metrics.jsonl").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(MetricsLogTest, OneObjectALineReadableAtOnce) {
  MetricsLog log(path_);
  log.write(1, "train", {{"loss", 2.5}, {"tokens", 128}});
  EXPECT_EQ(content(), "{\"step\":1,\"kind\":\"train\",\"loss\":2.5,\"tokens\":128}\n");
  log.write(2, "evaluation", {{"text", "a\nb"}, {"loss", NAN}});
  EXPECT_THAT(content(),
              HasSubstr("\n{\"step\":2,\"kind\":\"evaluation\",\"text\":\"a\\nb\",\"loss\":null}\n"));
}

TEST_F(MetricsLogTest, AppendsAfterALineThatWasCutShort) {
  put("{\"step\":1}\n{\"step\":2,\"lo");
  MetricsLog log(path_);
  EXPECT_EQ(content(), "{\"step\":1}\n");
  log.write(2, "train", nlohmann::ordered_json::object());
  EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2,\"kind\":\"train\"}\n");
  put("{\"step\":1");
  MetricsLog alone(path_);
  EXPECT_EQ(content(), "");
}

TEST_F(MetricsLogTest, TruncatesToTheResumedStepAndGoesOn) {
  put("{\"step\":1}\n{\"step\":3}\n{\"kind\":\"test\",\"step\":2}\n{\"step\":4}\n");
  MetricsLog log(path_);
  log.truncate_after(2);
  EXPECT_EQ(content(), "{\"step\":1}\n{\"kind\":\"test\",\"step\":2}\n");
  log.write(3, "train", {{"loss", 1}});
  EXPECT_THAT(content(), HasSubstr("\"step\":2}\n{\"step\":3,\"kind\":\"train\",\"loss\":1}\n"));
  log.truncate_after(-1);
  EXPECT_EQ(content(), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(MetricsLogTest, NamesTheLineThatItCannotJudge) {
  for (const char* bad : {"{\"step\":1", "[1]", "{\"loss\":1}", "{\"step\":\"1\"}", ""}) {
    put(std::string("{\"step\":1}\n") + bad + "\n{\"step\":9}\n");
    MetricsLog log(path_);
    EXPECT_THAT([&] { log.truncate_after(1); },
                ThrowsMessage<Error>(HasSubstr(path_ + ":2: not an object with an integer \"step\"")))
        << bad;
    EXPECT_THAT(content(), HasSubstr("{\"step\":9}"));
  }
}

TEST_F(MetricsLogTest, AFullDeviceIsAnError) {
  MetricsLog log("/dev/full");
  EXPECT_THAT(
      [&] {
        log.write(5, "train", {{"loss", 1}});
      },
      ThrowsMessage<Error>(HasSubstr("/dev/full: writing step 5 failed: No space left on device")));
}

TEST_F(MetricsLogTest, RefusesItsOwnKeysAndFoldersThatAreNotThere) {
  MetricsLog log(path_);
  EXPECT_THAT(
      [&] {
        log.write(1, "train", {{"step", 2}});
      },
      ThrowsMessage<Error>(HasSubstr("hold the key step")));
  EXPECT_THAT([&] { log.write(1, "train", nlohmann::ordered_json::array({1})); },
              ThrowsMessage<Error>(HasSubstr("are not an object")));
  EXPECT_EQ(content(), "");
  EXPECT_THAT([&] { MetricsLog((folder_ / "no" / "file").string()); },
              ThrowsMessage<Error>(HasSubstr("no/file: cannot be opened for appending: No such file")));
}

}  // namespace
}  // namespace trimtab
