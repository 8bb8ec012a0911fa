// SPDX-License-Identifier: Apache-2.0
//
// The files of tests/golden/gguf are written by gguf-py 0.19, and what it decodes lies beside them.
#include "models/formats/gguf.h"

#include <bit>
#include <cmath>
#include <limits>

#include "models/formats/gguf_bytes.h"
#include "models/formats/half.h"
#include "models/formats/safetensors.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using test::error_of;
using test::Folder;
using test::gguf_text;
using test::GgufBytes;
using test::number;
using test::write_bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kGolden = TRIMTAB_GOLDEN_DIR "/gguf/";

template <typename T>
std::vector<T> values_of(const TensorSource& source, const std::string& name, DType type,
                         const Slab& slab = {}) {
  const Shape count = fitted(slab, source.info(name).shape, name).count;
  std::vector<T> values(static_cast<std::size_t>(element_count(count)));
  source.read(name, slab, type, values.data());
  return values;
}

// Equal to the last bit, the sign of zero included.
std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

std::string opening_fails(const std::string& bytes) {
  const Folder folder;
  write_bytes(folder / "m.gguf", bytes);
  const std::string message = error_of([&] { Gguf file(folder / "m.gguf"); });
  EXPECT_THAT(message, HasSubstr(folder / "m.gguf"));
  return message;
}

TEST(Half, EveryValueIsExact) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    const float sign = bits >> 15 != 0 ? -1.0f : 1.0f;
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    ASSERT_EQ(std::signbit(value), sign < 0) << bits;
    if (exponent == 31 && mantissa != 0)
      ASSERT_TRUE(std::isnan(value)) << bits;
    else if (exponent == 31)
      ASSERT_EQ(value, sign * std::numeric_limits<float>::infinity()) << bits;
    else if (exponent == 0)
      ASSERT_EQ(value, sign * std::ldexp(static_cast<float>(mantissa), -24)) << bits;
    else
      ASSERT_EQ(value, sign * std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25)) << bits;
  }
}

TEST(Gguf, EveryTypeIsDecodedAsByTheReference) {
  const Gguf file(kGolden + "types.gguf");
  const Safetensors expected(kGolden + "types.safetensors");
  ASSERT_EQ(file.names(), expected.names());
  ASSERT_EQ(file.names().size(), 13U);
  for (const std::string& name : file.names()) {
    EXPECT_EQ(file.info(name).shape, expected.info(name).shape) << name;
    EXPECT_EQ(file.info(name).dtype, name == "bf16" ? DType::kBFloat16 : DType::kFloat32);
    std::string upper = name;
    for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
    EXPECT_EQ(file.stored_type(name), upper);
    const auto wanted = values_of<float>(expected, name, DType::kFloat32);
    EXPECT_EQ(bits_of(values_of<float>(file, name, DType::kFloat32)), bits_of(wanted)) << name;

    std::vector<std::uint16_t> rounded;
    for (const float value : wanted) rounded.push_back(float_to_bfloat16(value));
    EXPECT_EQ(values_of<std::uint16_t>(file, name, DType::kBFloat16), rounded) << name;
  }
}

TEST(Gguf, SlabsAreWhatIndexingGives) {
  const Gguf file(kGolden + "types.gguf");
  for (const std::string name : {"q4_1", "q6_k"}) {
    const std::int64_t width = file.info(name).shape[1];
    const auto all = values_of<float>(file, name, DType::kFloat32);
    for (const std::int64_t begin :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{31}, width / 3, width - 1})
      for (const std::int64_t count : {std::int64_t{1}, std::int64_t{33}, width / 2, width - begin}) {
        if (count > width - begin) continue;
        std::vector<float> expected;
        for (std::int64_t row = 1; row < 3; ++row)
          expected.insert(expected.end(), all.begin() + row * width + begin,
                          all.begin() + row * width + begin + count);
        ASSERT_EQ(values_of<float>(file, name, DType::kFloat32, {{1, begin}, {2, count}}), expected)
            << name << " " << begin << " " << count;
        const auto rounded = values_of<std::uint16_t>(file, name, DType::kBFloat16, {{1, begin}, {2, count}});
        for (std::size_t i = 0; i < expected.size(); ++i)
          ASSERT_EQ(rounded[i], float_to_bfloat16(expected[i]));
      }
  }
  EXPECT_THAT(error_of([&] {
                values_of<float>(file, "q4_1", DType::kFloat32, {{0, 0}, {4, 1}});
              }),
              HasSubstr("[4, 1]"));
  std::int64_t value = 0;
  EXPECT_THAT(error_of([&] { file.read("q4_1", {}, DType::kInt64, &value); }),
              HasSubstr("tensor 'q4_1': Q4_1 cannot be read as int64"));
  EXPECT_THAT(error_of([&] { file.info("q4_2"); }), HasSubstr("no tensor 'q4_2'; did you mean 'q4_"));
}

TEST(Gguf, MetadataComesBackAsWritten) {
  const Gguf file(kGolden + "types.gguf");
  const GgufMetadata& data = file.metadata();
  EXPECT_EQ(data.text("general.architecture"), "none");
  EXPECT_EQ(data.integer("general.alignment"), 64);
  EXPECT_EQ(data.integer("u8"), 200);
  EXPECT_EQ(data.integer("u16"), 60000);
  EXPECT_EQ(data.integer("u32"), 4000000000);
  EXPECT_EQ(data.integer("u64"), std::int64_t{1} << 40);
  EXPECT_EQ(data.integer("i8"), -100);
  EXPECT_EQ(data.integer("i16"), -30000);
  EXPECT_EQ(data.integer("i32"), -2000000000);
  EXPECT_EQ(data.integer("i64"), -(std::int64_t{1} << 40));
  EXPECT_EQ(data.real("f32"), 1.5);
  EXPECT_EQ(data.real("f64"), 1e300);
  EXPECT_TRUE(data.truth("yes"));
  EXPECT_FALSE(data.truth("no"));
  EXPECT_EQ(data.text("text"), "Grüße, 世界\n");
  EXPECT_THAT(data.texts("texts"), ElementsAre("a", "", "▁ü", std::string(300, 'z')));
  EXPECT_THAT(data.integers("integers"), ElementsAre(3, -1, 70000));
  EXPECT_THAT(data.reals("reals"), ElementsAre(0.5, -2.25));
  EXPECT_TRUE(data.has("yes"));
  EXPECT_FALSE(data.has("maybe"));
}

TEST(Gguf, MetadataOfAnotherTypeIsRefused) {
  const Gguf file(kGolden + "types.gguf");
  const GgufMetadata& data = file.metadata();
  EXPECT_THAT(
      error_of([&] { data.integer("general.aligment"); }),
      AllOf(HasSubstr("types.gguf: no metadata 'general.aligment'"), HasSubstr("'general.alignment'")));
  EXPECT_THAT(error_of([&] { data.integer("f32"); }),
              HasSubstr("metadata 'f32' is of type float32, and should be an integer"));
  EXPECT_THAT(error_of([&] { data.integer("integers"); }),
              HasSubstr("is an array of 3 of type int32, and should be an integer"));
  EXPECT_THAT(error_of([&] { data.integer("u64.large"); }), HasSubstr("18446744073709551615 does not fit"));
  EXPECT_THAT(error_of([&] { data.real("u8"); }), HasSubstr("should be a real number"));
  EXPECT_THAT(error_of([&] { data.truth("u8"); }), HasSubstr("should be a boolean"));
  EXPECT_THAT(error_of([&] { data.text("u8"); }), HasSubstr("should be a text"));
  EXPECT_THAT(error_of([&] { data.texts("text"); }), HasSubstr("should be an array of texts"));
  EXPECT_THAT(error_of([&] { data.texts("reals"); }), HasSubstr("should be an array of texts"));
  EXPECT_THAT(error_of([&] { data.integers("truths"); }), HasSubstr("should be an array of integers"));
  EXPECT_THAT(error_of([&] { data.reals("integers"); }), HasSubstr("should be an array of real numbers"));
}

TEST(Gguf, VersionTwoAndDefaultAlignment) {
  const Folder folder;
  GgufBytes bytes;
  bytes.version = 2;
  bytes.floats("a", {3, 2}, {1, 2, 3, 4, 5, 6}).floats("scalar", {}, {7});
  write_bytes(folder / "m", bytes.bytes());
  const Gguf file(folder / "m");
  EXPECT_EQ(file.info("a").shape, (Shape{2, 3}));
  EXPECT_THAT(values_of<float>(file, "a", DType::kFloat32, {{1, 0}, {1, 3}}), ElementsAre(4, 5, 6));
  EXPECT_EQ(file.info("scalar").shape, Shape{});
  EXPECT_THAT(values_of<float>(file, "scalar", DType::kFloat32), ElementsAre(7));
  write_bytes(folder / "none", GgufBytes().bytes());
  EXPECT_TRUE(Gguf(folder / "none").names().empty());
}

TEST(Gguf, OtherFilesAndVersionsAreRefused) {
  GgufBytes bytes;
  EXPECT_THAT(opening_fails(""), HasSubstr("does not begin with \"GGUF\""));
  EXPECT_THAT(opening_fails("GGUF"), HasSubstr("does not begin with \"GGUF\""));
  bytes.magic = "GGML";
  EXPECT_THAT(opening_fails(bytes.bytes()), HasSubstr("does not begin with \"GGUF\""));
  bytes.magic = "GGUF";
  bytes.version = 1;
  EXPECT_THAT(opening_fails(bytes.bytes()),
              AllOf(HasSubstr("version 1"), HasSubstr("convert the model again")));
  bytes.version = 4;
  EXPECT_THAT(opening_fails(bytes.bytes()), HasSubstr("GGUF version 4 is not known, versions 2 and 3 are"));
  bytes.version = 3U << 24;
  EXPECT_THAT(opening_fails(bytes.bytes()), AllOf(HasSubstr("big-endian"), HasSubstr("gguf-convert-endian")));
  bytes.version = 3;
  bytes.integer("split.count", 3);
  EXPECT_THAT(opening_fails(bytes.bytes()), HasSubstr("one of 3 parts: join them"));
}

TEST(Gguf, FilesThatEndAnywhereAreRefused) {
  GgufBytes bytes;
  bytes.integer("n", 1)
      .text("t", "text")
      .pair("a", test::kArray,
            number(std::uint32_t{test::kText}) + number(std::uint64_t{2}) + gguf_text("one") +
                gguf_text("two"));
  bytes.floats("x", {8}, std::vector<float>(8, 1.0f));
  const std::string whole = bytes.bytes();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(opening_fails(whole.substr(0, size)).empty());
  EXPECT_THAT(opening_fails(whole.substr(0, whole.size() - 1)),
              HasSubstr("tensor 'x': its 32 bytes from byte 0 on do not lie in the 31 bytes of data"));
}

TEST(Gguf, AbsurdCountsAreRefused) {
  GgufBytes tensors, pairs;
  tensors.added_tensors = std::uint64_t{1} << 60;
  EXPECT_THAT(opening_fails(tensors.bytes()),
              HasSubstr("1152921504606846976 tensors do not fit into 32 bytes"));
  pairs.added_pairs = ~std::uint64_t{0};
  EXPECT_THAT(opening_fails(pairs.bytes()), HasSubstr("18446744073709551615 metadata pairs"));
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return opening_fails(GgufBytes().pair("a", test::kArray, number(type) + number(count)).bytes());
  };
  EXPECT_THAT(array(test::kU64, std::uint64_t{1} << 61),
              HasSubstr("metadata 'a': 2305843009213693952 elements of type uint64 need more than"));
  EXPECT_THAT(array(test::kText, std::uint64_t{1} << 61), HasSubstr("elements of type text need more than"));
  EXPECT_THAT(opening_fails(GgufBytes().pair("t", test::kText, number(~std::uint64_t{0})).bytes()),
              HasSubstr("metadata 't' needs 18446744073709551615 bytes"));
}

TEST(Gguf, MalformedMetadataIsRefused) {
  EXPECT_THAT(opening_fails(GgufBytes().pair("k", 13, "").bytes()),
              HasSubstr("'k': the value type 13 is not known"));
  EXPECT_THAT(
      opening_fails(GgufBytes()
                        .pair("k", test::kArray, number(std::uint32_t{test::kArray}) + std::string(20, '\0'))
                        .bytes()),
      HasSubstr("metadata 'k': arrays of arrays are not read"));
  EXPECT_THAT(opening_fails(GgufBytes().integer("k", 1).real("k", 2).bytes()),
              HasSubstr("metadata 'k' is there twice"));
  for (const std::string key : {"", "a\nb", "ü"})
    EXPECT_THAT(opening_fails(GgufBytes().integer(key, 1).bytes()), HasSubstr("metadata key 0 at byte 24"));
  const Folder folder;
  write_bytes(folder / "m", GgufBytes().pair("b", test::kBool, "\2").bytes());
  EXPECT_THAT(error_of([&] { Gguf(folder / "m").metadata().truth("b"); }), HasSubstr("0 or 1, not 2"));
}

TEST(Gguf, AlignmentMustBeAPowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 24U})
    EXPECT_THAT(opening_fails(GgufBytes().integer("general.alignment", alignment).bytes()),
                HasSubstr(fmt::format("'general.alignment' is {}, and should be a power of two", alignment)));
  EXPECT_THAT(opening_fails(GgufBytes().text("general.alignment", "32").bytes()),
              HasSubstr("should be an integer"));
  GgufBytes bytes;
  bytes.info("x", {2}, 0, 8);
  bytes.data = std::string(64, '\0');
  EXPECT_THAT(opening_fails(bytes.bytes()),
              HasSubstr("begins at byte 8 of the data, which is no multiple of 32"));
}

TEST(Gguf, MalformedTensorsAreRefused) {
  const auto with = [](const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset) {
    GgufBytes bytes;
    bytes.info("x", dims, type, offset);
    bytes.data = std::string(64, '\0');
    return opening_fails(bytes.bytes());
  };
  EXPECT_THAT(with({32}, 23, 0), AllOf(HasSubstr("tensor 'x' is of type IQ4_XS, which is not read"),
                                       HasSubstr("F32, F16, BF16, Q8_0, Q4_0")));
  EXPECT_THAT(with({32}, 26, 0), HasSubstr("type I32"));
  EXPECT_THAT(with({32}, 77, 0), HasSubstr("type 77"));
  EXPECT_THAT(with({1, 1, 1, 1, 1}, 0, 0), HasSubstr("has 5 dims, at most 4"));
  EXPECT_THAT(with({2, 0}, 0, 0), HasSubstr("its dim 1 is 0"));
  EXPECT_THAT(with({std::uint64_t{1} << 63}, 0, 0), HasSubstr("its dim 0 is 9223372036854775808"));
  EXPECT_THAT(with({16, 2}, 2, 0), HasSubstr("rows of the shape [2, 16] are no multiple of the 32 elements"));
  EXPECT_THAT(with({}, 2, 0), HasSubstr("rows of the shape [] are no multiple of the 32"));
  EXPECT_THAT(with({1ULL << 32, 1ULL << 32}, 0, 0), HasSubstr("has more elements than any file holds"));
  EXPECT_THAT(with({1ULL << 62}, 0, 0), HasSubstr("has more elements than any file holds"));
  EXPECT_THAT(with({1ULL << 40}, 0, 0), HasSubstr("do not lie in the 64 bytes of data"));
  EXPECT_THAT(with({2}, 0, ~std::uint64_t{31}), HasSubstr("from byte 18446744073709551584 on do not lie"));
  GgufBytes twice, overlap;
  twice.floats("x", {1}, {1}).floats("x", {1}, {1});
  EXPECT_THAT(opening_fails(twice.bytes()), HasSubstr("tensor 'x' is there twice"));
  overlap.floats("x", {16}, std::vector<float>(16)).info("y", {2}, 0, 32);
  EXPECT_THAT(opening_fails(overlap.bytes()), HasSubstr("tensors 'x' and 'y' overlap at byte 32"));
}

}  // namespace
}  // namespace trimtab
