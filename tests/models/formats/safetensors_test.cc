// SPDX-License-Identifier: Apache-2.0
#include "models/formats/safetensors.h"

#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>

#include "models/file_checks.h"

namespace trimtab {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::read_bytes;
using test::safetensors_bytes;
using test::write_bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::vector<T> all(const TensorSource& source, const std::string& name, DType type, std::size_t count,
                   const Slab& slab = {}) {
  std::vector<T> values(count);
  source.read(name, slab, type, values.data());
  return values;
}

std::string opening_fails(const std::string& bytes) {
  const Folder folder;
  write_bytes(folder / "m.safetensors", bytes);
  const std::string message = error_of([&] { Safetensors file(folder / "m.safetensors"); });
  EXPECT_THAT(message, HasSubstr(folder / "m.safetensors"));
  return message;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, int begin,
                   int end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype, shape, begin,
                     end);
}

std::string object(const std::vector<std::string>& members) {
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

void write_floats(const std::string& path, const std::string& name, const std::vector<float>& values) {
  SafetensorsWriter writer(path, {{name, {DType::kFloat32, {static_cast<std::int64_t>(values.size())}}}});
  writer.append(values.data(), values.size() * sizeof(float));
  writer.commit();
}

// Kilobytes of mapped files that count to this process.
std::int64_t mapped_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "RssFile:") {
      std::int64_t kib = 0;
      status >> kib;
      return kib;
    }
  return -1;
}

TEST(Safetensors, WhatWasReadDoesNotStayInMemory) {
  constexpr std::size_t kCount = 16 << 20;  // 64 MiB
  const Folder folder;
  std::vector<float> floats(kCount);
  std::iota(floats.begin(), floats.end(), 0.0f);
  write_floats(folder / "m.safetensors", "x", floats);
  const Safetensors file(folder / "m.safetensors");
  const std::int64_t before = mapped_kib();
  ASSERT_GT(before, 0);
  for (int time = 0; time < 2; ++time) {
    EXPECT_EQ(all<float>(file, "x", DType::kFloat32, kCount), floats) << "time " << time;
    EXPECT_LT(mapped_kib(), before + (8 << 10));
  }
}

TEST(Safetensors, ComesBackAsWritten) {
  const Folder folder;
  std::vector<float> floats(24);
  std::iota(floats.begin(), floats.end(), -3.5f);
  const std::vector<std::int64_t> longs = {1, -2, std::int64_t{1} << 40};
  SafetensorsWriter writer(folder / "m.safetensors",
                           {{"longs", {DType::kInt64, {3}}},
                            {"floats", {DType::kFloat32, {2, 3, 4}}},
                            {"scalar", {DType::kInt32, {}}},
                            {"none", {DType::kBFloat16, {0, 5}}}},
                           {{"format", "pt"}});
  writer.append(longs.data(), 24);
  writer.append(floats.data(), 40);
  writer.append(floats.data() + 10, 56);
  const std::int32_t seven = 7;
  writer.append(&seven, 4);
  EXPECT_FALSE(std::filesystem::exists(folder / "m.safetensors"));
  writer.commit();

  const Safetensors file(folder / "m.safetensors");
  EXPECT_THAT(file.names(), ElementsAre("floats", "longs", "none", "scalar"));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.info("floats").dtype, DType::kFloat32);
  EXPECT_THAT(file.info("floats").shape, ElementsAre(2, 3, 4));
  EXPECT_THAT(file.info("none").shape, ElementsAre(0, 5));
  EXPECT_EQ(all<float>(file, "floats", DType::kFloat32, 24), floats);
  EXPECT_EQ(all<std::int64_t>(file, "longs", DType::kInt64, 3), longs);
  EXPECT_EQ(all<std::int32_t>(file, "scalar", DType::kInt32, 1), std::vector<std::int32_t>{7});
  EXPECT_EQ(all<std::int64_t>(file, "scalar", DType::kInt64, 1), std::vector<std::int64_t>{7});
  EXPECT_THAT(error_of([&] { all<std::int32_t>(file, "longs", DType::kInt32, 3); }),
              HasSubstr("the value 1099511627776 does not fit into int32"));
}

TEST(Safetensors, SlabsAreWhatIndexingGives) {
  const Folder folder;
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0f);
  SafetensorsWriter writer(folder / "m", {{"x", {DType::kFloat32, {2, 3, 4}}}});
  writer.append(values.data(), 96);
  writer.commit();
  const Safetensors file(folder / "m");
  const auto slab = [&](const Slab& part, std::size_t count) {
    return all<float>(file, "x", DType::kFloat32, count, part);
  };
  for (int b0 = 0; b0 < 2; ++b0)
    for (int b1 = 0; b1 < 3; ++b1)
      for (int b2 = 0; b2 < 4; ++b2)
        for (int c0 = 0; c0 <= 2 - b0; ++c0)
          for (int c1 = 0; c1 <= 3 - b1; ++c1)
            for (int c2 = 0; c2 <= 4 - b2; ++c2) {
              std::vector<float> expected;
              for (int i = b0; i < b0 + c0; ++i)
                for (int j = b1; j < b1 + c1; ++j)
                  for (int k = b2; k < b2 + c2; ++k)
                    expected.push_back(static_cast<float>((i * 3 + j) * 4 + k));
              ASSERT_EQ(slab({{b0, b1, b2}, {c0, c1, c2}}, expected.size()), expected);
            }
  EXPECT_THAT(error_of([&] {
                slab({{0, 1, 0}, {2, 3, 4}}, 24);
              }),
              AllOf(HasSubstr("tensor 'x'"), HasSubstr("[2, 3, 4]"), HasSubstr("[0, 1, 0]")));
  EXPECT_THAT(error_of([&] { slab({{0}, {2}}, 24); }), HasSubstr("[2, 3, 4]"));
  EXPECT_THAT(error_of([&] { slab({{-1, 0, 0}, {1, 1, 1}}, 24); }), HasSubstr("[-1, 0, 0]"));
}

TEST(Safetensors, HalvesAndBFloat16AreConverted) {
  const Folder folder;
  const std::vector<std::uint16_t> halves = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x8000, 0x7c00, 0x7e00};
  const std::vector<std::uint16_t> brains = {0x3f80, 0xc000, 0x7fc0};
  write_bytes(
      folder / "m",
      safetensors_bytes(object({tensor("h", "F16", "[8]", 0, 16), tensor("b", "BF16", "[3]", 16, 22)}),
                        bytes_of(halves) + bytes_of(brains)));
  const Safetensors file(folder / "m");
  EXPECT_EQ(file.info("h").dtype, DType::kFloat32);
  EXPECT_EQ(file.info("b").dtype, DType::kBFloat16);
  const auto h = all<float>(file, "h", DType::kFloat32, 8);
  EXPECT_EQ(h[0], 1.0f);
  EXPECT_EQ(h[1], -2.0f);
  EXPECT_EQ(h[2], 65504.0f);
  EXPECT_EQ(h[3], std::ldexp(1.0f, -24));  // the smallest subnormal number
  EXPECT_EQ(h[4], std::ldexp(1.0f, -14));  // the smallest normal number
  EXPECT_TRUE(h[5] == 0.0f && std::signbit(h[5]));
  EXPECT_EQ(h[6], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(h[7]));
  EXPECT_EQ(all<std::uint16_t>(file, "h", DType::kBFloat16, 8)[2], 0x4780);  // 65504 rounds to 65536
  EXPECT_EQ(all<std::uint16_t>(file, "b", DType::kBFloat16, 3), brains);
  EXPECT_EQ(all<float>(file, "b", DType::kFloat32, 3)[1], -2.0f);
  EXPECT_THAT(error_of([&] { all<std::int32_t>(file, "b", DType::kInt32, 3); }),
              HasSubstr("bfloat16 cannot be read as int32"));
}

TEST(Safetensors, FloatsAreRoundedToNearestEven) {
  const Folder folder;
  const std::vector<float> values = {1.0f, 1.00390625f, 1.01171875f, std::bit_cast<float>(0x3f808001u)};
  write_floats(folder / "m", "x", values);
  EXPECT_THAT(all<std::uint16_t>(Safetensors(folder / "m"), "x", DType::kBFloat16, 4),
              ElementsAre(0x3f80, 0x3f80, 0x3f82, 0x3f81));
}

TEST(Safetensors, UnknownTensorNamesTheNearest) {
  const Folder folder;
  write_floats(folder / "m", "shared.weight", {1});
  EXPECT_THAT(error_of([&] { Safetensors(folder / "m").info("shared.wieght"); }),
              AllOf(HasSubstr("no tensor 'shared.wieght'"), HasSubstr("'shared.weight'")));
}

TEST(Safetensors, CutOffFilesAreRefused) {
  EXPECT_THAT(opening_fails(""), HasSubstr("0 bytes are too few"));
  EXPECT_THAT(opening_fails("1234567"), HasSubstr("7 bytes are too few"));
  const std::string whole =
      safetensors_bytes(object({tensor("x", "F32", "[2]", 0, 8)}), std::string(8, '\0'));
  EXPECT_THAT(opening_fails(whole.substr(0, whole.size() - 1)),
              AllOf(HasSubstr("tensor 'x'"), HasSubstr("[0, 8) do not lie in the 7 bytes of data"),
                    HasSubstr("cut off")));
  EXPECT_THAT(opening_fails(whole.substr(0, 20)), HasSubstr("the header should have"));
  EXPECT_THAT(opening_fails(std::string(8, '\xff') + whole), HasSubstr("18446744073709551615 bytes"));
}

TEST(Safetensors, MalformedHeadersAreRefused) {
  const auto header = [](const std::string& text) {
    return opening_fails(safetensors_bytes(text, std::string(8, '\0')));
  };
  EXPECT_THAT(header("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header("\xff\xfe"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header(R"({"x":1e999})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header("[1]"), HasSubstr("this is array"));
  EXPECT_THAT(header(R"({"x":)" + std::string(100000, '[')), HasSubstr("nested more than 4 deep"));
  EXPECT_THAT(header(R"({"x":[0,0]})"), HasSubstr("not array of 2"));
  EXPECT_LT(header(R"({"x":")" + std::string(100000, '-') + "\"}").size(), 500);
  EXPECT_LT(header(R"({"x":)" + std::string(100000, '-') + "}").size(), 500);
  EXPECT_THAT(header(R"({"__metadata__":{"a":1}})"), HasSubstr("'a' must be a text, not 1"));
  EXPECT_THAT(header(R"({"x":{"dtype":"F32","shape":[2]}})"),
              HasSubstr("tensor 'x': dtype, shape and two data_offsets"));
  EXPECT_THAT(header(object({tensor("x", "F64", "[1]", 0, 8)})),
              HasSubstr("the dtype 'F64' is not one that is read"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[-2]", 0, 8)})), HasSubstr("not negative, not -2"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[2.5]", 0, 8)})), HasSubstr("2.5"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[3]", 0, 8)})),
              HasSubstr("the shape [3] of F32 needs 12 bytes, the file gives it 8"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[4611686018427387904,4]", 0, 8)})),
              HasSubstr("needs too many bytes"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[2]", 8, 0)})), HasSubstr("[8, 0) do not lie"));
  EXPECT_THAT(header(object({tensor("x", "F32", "[1]", 0, 4), tensor("x", "F32", "[1]", 4, 8)})),
              HasSubstr("'x' is there twice"));
}

TEST(Safetensors, OverlapsAndHolesAreRefused) {
  const auto two = [](int b1, int e1, int b2, int e2, std::size_t bytes) {
    const auto shape = [](int b, int e) { return fmt::format("[{}]", (e - b) / 4); };
    return opening_fails(safetensors_bytes(
        object({tensor("a", "F32", shape(b1, e1), b1, e1), tensor("b", "F32", shape(b2, e2), b2, e2)}),
        std::string(bytes, '\0')));
  };
  EXPECT_THAT(two(0, 8, 4, 12, 12), HasSubstr("tensors 'a' and 'b' overlap at byte 4"));
  EXPECT_THAT(two(0, 8, 0, 8, 8), HasSubstr("overlap at byte 0"));
  EXPECT_THAT(two(0, 4, 8, 12, 12),
              HasSubstr("bytes [4, 8) of the data, before tensor 'b', belong to no tensor"));
  EXPECT_THAT(two(0, 4, 4, 8, 12), HasSubstr("bytes [8, 12) at the end of the data belong to no tensor"));
}

class Shards : public ::testing::Test {
 protected:
  void SetUp() override {
    write_floats(folder / "model-1.safetensors", "a", {1, 2});
    write_floats(folder / "model-2.safetensors", "b", {3});
  }
  void index(const std::string& map) {
    write_bytes(folder / "model.safetensors.index.json",
                R"({"metadata":{"total_size":12},"weight_map":)" + map + "}");
  }
  std::string failure() {
    return error_of([&] { Safetensors all_of(folder.path()); });
  }
  Folder folder;
};

TEST_F(Shards, AreOneSource) {
  index(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  const Safetensors file(folder.path());
  EXPECT_THAT(file.names(), ElementsAre("a", "b"));
  EXPECT_THAT(all<float>(file, "a", DType::kFloat32, 2), ElementsAre(1, 2));
  EXPECT_THAT(all<float>(file, "b", DType::kFloat32, 1), ElementsAre(3));
}

TEST_F(Shards, MissingShardIsNamed) {
  index(R"({"a":"model-1.safetensors","b":"model-3.safetensors"})");
  EXPECT_THAT(failure(), HasSubstr("the shard model-3.safetensors that holds 'b' is missing"));
}

TEST_F(Shards, TensorInTwoShardsIsRefused) {
  write_floats(folder / "model-2.safetensors", "a", {3});
  index(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  EXPECT_THAT(failure(),
              AllOf(HasSubstr("tensor 'a' is in two files"), HasSubstr("model-1"), HasSubstr("model-2")));
}

TEST_F(Shards, IndexAndShardsMustAgree) {
  index(R"({"a":"model-1.safetensors","b":"model-1.safetensors"})");
  EXPECT_THAT(failure(), AllOf(HasSubstr("tensor 'b' is not in"), HasSubstr("model-1.safetensors")));
  index(R"({"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-2.safetensors"})");
  EXPECT_THAT(failure(), HasSubstr("tensor 'c' is not in"));
  write_floats(folder / "model-1.safetensors", "z", {1});
  index(R"({"b":"model-2.safetensors"})");
  EXPECT_EQ(Safetensors(folder.path()).names(), std::vector<std::string>{"b"});
}

TEST_F(Shards, TensorThatTheIndexDoesNotNameIsRefused) {
  SafetensorsWriter writer(folder / "model-1.safetensors",
                           {{"a", {DType::kInt32, {1}}}, {"extra", {DType::kInt32, {1}}}});
  writer.append("12345678", 8);
  writer.commit();
  index(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  EXPECT_THAT(failure(), AllOf(HasSubstr("tensor 'extra'"), HasSubstr("is not in weight_map")));
}

TEST_F(Shards, BadIndexIsRefused) {
  index(R"({"a":"../model-1.safetensors"})");
  EXPECT_THAT(failure(), HasSubstr("must be the name of a file in the same folder"));
  index("{}");
  EXPECT_THAT(failure(), HasSubstr("'weight_map' must be there"));
  index(R"({"a":1})");
  EXPECT_THAT(failure(), HasSubstr("'a' must name a file, not 1"));
}

TEST(Safetensors, FolderWithoutModelSaysWhatIsMissing) {
  const Folder folder;
  EXPECT_THAT(error_of([&] { Safetensors file(folder.path()); }), HasSubstr("neither model.safetensors nor"));
  write_bytes(folder / "pytorch_model.bin", "x");
  EXPECT_THAT(error_of([&] { Safetensors file(folder.path()); }), HasSubstr("safe_serialization=True"));
  EXPECT_THAT(error_of([&] { Safetensors file(folder / "nothing"); }), HasSubstr("No such file"));
}

TEST(SafetensorsWriter, WritesOnlyWhatItPromised) {
  const Folder folder;
  {
    SafetensorsWriter writer(folder / "m", {{"x", {DType::kFloat32, {2}}}});
    writer.append("1234", 4);
    EXPECT_THAT(error_of([&] { writer.commit(); }), HasSubstr("4 of 8 bytes were written"));
    EXPECT_THAT(error_of([&] { writer.append("12345", 5); }), HasSubstr("1 bytes more than the 8"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT(error_of([&] {
                SafetensorsWriter writer(folder / "m",
                                         {{"b", {DType::kBFloat16, {1}}}, {"f", {DType::kFloat32, {1}}}});
              }),
              HasSubstr("tensor 'f' would begin at byte 2"));
  EXPECT_THAT(
      error_of([&] {
        SafetensorsWriter writer(folder / "m", {{"b", {DType::kInt32, {1}}}, {"b", {DType::kInt32, {1}}}});
      }),
      HasSubstr("'b' is there twice"));
}

}  // namespace
}  // namespace trimtab
