// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor_store.h"

#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <functional>
#include <numeric>
#include <thread>

#include "runtime/check.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"
#include "runtime/tensor_store_fixture.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

// tests/fuzz/make_store_corpus.py writes it with h5py, from docs/formats.md.
TEST(TensorStore, OpensWhatAnotherProgramWrote) {
  const TensorStore store(std::string(TRIMTAB_FUZZ_CORPUS) + "/tensor_store/store");
  EXPECT_THAT(store.names(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(store.integer("step"), 12);
  EXPECT_EQ(store.real("rate"), 0.3);
  EXPECT_EQ(store.text("note"), "five words");
  std::array<float, 4> values{};
  store.read("b", {}, DType::kFloat32, values.data());
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3));
  EXPECT_NO_THROW(store.verify());
}

TEST_F(TensorStoreTest, KeepsEverythingThatWasWritten) {
  write_small(file());
  EXPECT_THAT(files(), ElementsAre("store.h5"));
  const TensorStore store(file());
  EXPECT_EQ(store.path(), file());
  EXPECT_THAT(store.names(), ElementsAre("bits", "encoder.block.0.wi", "ids", "nothing", "scalar", "wide"));
  EXPECT_TRUE(store.has("ids"));
  EXPECT_FALSE(store.has("id"));
  EXPECT_EQ(store.info("bits").dtype, DType::kBFloat16);
  EXPECT_THAT(store.info("encoder.block.0.wi").shape, ElementsAre(3, 4));
  EXPECT_THAT(store.info("scalar").shape, IsEmpty());
  EXPECT_THAT(store.info("nothing").shape, ElementsAre(0, 7));
  EXPECT_EQ(read<float>(store, "encoder.block.0.wi", DType::kFloat32), floats());
  EXPECT_EQ(read<std::uint16_t>(store, "bits", DType::kBFloat16), bits());
  EXPECT_EQ(read<std::int32_t>(store, "ids", DType::kInt32), ids());
  EXPECT_EQ(read<std::int64_t>(store, "wide", DType::kInt64), wide());
  EXPECT_THAT(read<float>(store, "scalar", DType::kFloat32), ElementsAre(2.5f));
  EXPECT_THAT(read<float>(store, "nothing", DType::kFloat32), IsEmpty());
  EXPECT_EQ(store.integer("steps"), 30'000);
  EXPECT_EQ(store.real("rate"), 0.3);
  EXPECT_EQ(store.text("config"), "name: tiny\nmesh: {data: 1}\n");
  EXPECT_EQ(store.text("empty"), "");
  EXPECT_EQ(store.attributes().size(), 4u);
  EXPECT_NO_THROW(store.verify());
}

TEST_F(TensorStoreTest, EmptyStoreAndLongAttributesWork) {
  TensorStoreWriter writer(file());
  const std::string text(200'000, 'x');
  writer.set("config", text);
  writer.commit();
  const TensorStore store(file());
  EXPECT_THAT(store.names(), IsEmpty());
  EXPECT_EQ(store.text("config"), text);
  EXPECT_NO_THROW(store.verify());
}

TEST_F(TensorStoreTest, SameContentGivesTheSameBytes) {
  write_small(file("a.h5"));
  write_small(file("b.h5"));
  EXPECT_EQ(bytes_of(file("a.h5")), bytes_of(file("b.h5")));
}

TEST_F(TensorStoreTest, ChecksumIsOfTheElementsHoweverTheyWereWritten) {
  const std::vector<float> values = floats();
  const std::string expected =
      sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  TensorStoreWriter writer(file());
  writer.write("whole", {DType::kFloat32, {3, 4}}, values.data());
  // Columns in reverse order.
  for (std::int64_t column = 3; column >= 0; --column) {
    const std::array<float, 3> part = {values[column], values[4 + column], values[8 + column]};
    writer.write("parts", {DType::kFloat32, {3, 4}}, {{0, column}, {3, 1}}, part.data());
  }
  writer.commit();
  const TensorStore store(file());
  EXPECT_EQ(store.checksum("whole"), expected);
  EXPECT_EQ(store.checksum("parts"), expected);
  EXPECT_EQ(read<float>(store, "parts", DType::kFloat32), values);
  EXPECT_NO_THROW(store.verify());
}

// Every slab of a small tensor, in its own type and converted, against naive indexing.
TEST_F(TensorStoreTest, AnySlabIsWhatIndexingGives) {
  const Shape shape = {3, 2, 4};
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0f);
  TensorStoreWriter writer(file());
  writer.write("x", {DType::kFloat32, shape}, values.data());
  writer.commit();
  const TensorStore store(file());
  const auto try_slab = [&](const Slab& slab) {
    std::vector<float> expected;
    for (std::int64_t i = slab.begin[0]; i < slab.begin[0] + slab.count[0]; ++i)
      for (std::int64_t j = slab.begin[1]; j < slab.begin[1] + slab.count[1]; ++j)
        for (std::int64_t k = slab.begin[2]; k < slab.begin[2] + slab.count[2]; ++k)
          expected.push_back(values[static_cast<std::size_t>((i * 2 + j) * 4 + k)]);
    EXPECT_EQ(read<float>(store, "x", DType::kFloat32, slab), expected);
    std::vector<std::uint16_t> rounded;
    for (const float value : expected) rounded.push_back(float_to_bfloat16(value));
    EXPECT_EQ(read<std::uint16_t>(store, "x", DType::kBFloat16, slab), rounded);
  };
  for (std::int64_t i = 0; i <= 3; ++i)
    for (std::int64_t ni = 0; ni <= 3 - i; ++ni)
      for (std::int64_t j = 0; j <= 2; ++j)
        for (std::int64_t nj = 0; nj <= 2 - j; ++nj)
          for (std::int64_t k = 0; k <= 4; ++k)
            for (std::int64_t nk = 0; nk <= 4 - k; ++nk) try_slab({{i, j, k}, {ni, nj, nk}});
}

// Larger than the block in which conversions and checksums go, with rows that do not divide it.
TEST_F(TensorStoreTest, ConvertsLargeTensorsBlockByBlock) {
  const std::int64_t rows = 1'001;
  const std::int64_t columns = 777;
  std::vector<std::uint16_t> values(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = float_to_bfloat16(static_cast<float>(i % 65'003));
  TensorStoreWriter writer(file());
  writer.write("x", {DType::kBFloat16, {rows, columns}}, values.data());
  writer.commit();
  const TensorStore store(file());
  const Slab slab = slab_of_dim({rows, columns}, 1, {5, 700});
  const std::vector<float> wide = read<float>(store, "x", DType::kFloat32, slab);
  bool same = true;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < 700; ++c)
      same &= wide[static_cast<std::size_t>(r * 700 + c)] ==
              bfloat16_to_float(values[static_cast<std::size_t>(r * columns + 5 + c)]);
  EXPECT_TRUE(same);
  EXPECT_NO_THROW(store.verify());
}

TEST_F(TensorStoreTest, ConvertsOnlyWhereMeaningIsKept) {
  write_small(file());
  const TensorStore store(file());
  const std::vector<float> widened = read<float>(store, "bits", DType::kFloat32);
  EXPECT_EQ(widened[0], 1.0f);
  EXPECT_EQ(widened[1], -2.0f);
  EXPECT_TRUE(widened[2] != widened[2]);
  EXPECT_THAT(read<std::int64_t>(store, "ids", DType::kInt64), ElementsAre(-1, 0, 32'127));
  EXPECT_THAT(read<std::int32_t>(store, "wide", DType::kInt32, {{1}, {1}}), ElementsAre(-5));
  std::array<std::int64_t, 16> memory;
  EXPECT_THAT([&] { store.read("wide", {}, DType::kInt32, memory.data()); },
              ThrowsMessage<Error>(AllOf(HasSubstr("store.h5: tensor 'wide'"),
                                         HasSubstr("1099511627776 does not fit int32"))));
  EXPECT_THAT([&] { store.read("ids", {}, DType::kFloat32, memory.data()); },
              ThrowsMessage<Error>(HasSubstr("tensor 'ids' is int32 and cannot be read as float32")));
  EXPECT_THAT([&] { store.read("bits", {}, DType::kInt32, memory.data()); },
              ThrowsMessage<Error>(HasSubstr("is bfloat16 and cannot be read as int32")));
}

TEST_F(TensorStoreTest, BadReadsNameFileTensorAndRemedy) {
  write_small(file());
  const TensorStore store(file());
  float memory[16];
  EXPECT_THAT([&] { store.info("encoder.block.0.wo"); },
              ThrowsMessage<Error>(AllOf(HasSubstr(file()), HasSubstr("no tensor 'encoder.block.0.wo'"),
                                         HasSubstr("did you mean 'encoder.block.0.wi'?"))));
  EXPECT_THAT(
      [&] {
        store.read("encoder.block.0.wi", {{0, 2}, {3, 3}}, DType::kFloat32, memory);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("tensor 'encoder.block.0.wi'"),
                                 HasSubstr("[3, 3] elements from [0, 2]"), HasSubstr("shape [3, 4]"))));
  EXPECT_THAT(
      [&] { store.integer("step"); },
      ThrowsMessage<Error>(AllOf(HasSubstr("no attribute 'step'"), HasSubstr("did you mean 'steps'?"))));
  EXPECT_THAT([&] { store.text("steps"); },
              ThrowsMessage<Error>(HasSubstr("attribute 'steps' is not a text")));
  EXPECT_THAT([&] { store.integer("rate"); }, ThrowsMessage<Error>(HasSubstr("'rate' is not an integer")));
}

TEST_F(TensorStoreTest, BadWritesAreRefused) {
  TensorStoreWriter writer(file());
  const float x[4] = {};
  const TensorInfo square = {DType::kFloat32, {2, 2}};
  const auto refuses = [](const std::function<void()>& call, const std::string& why) {
    EXPECT_THAT(call, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refuses([&] { writer.write("a/b", square, x); }, "has no '/'");
  refuses([&] { writer.write("", square, x); }, "is not empty");
  refuses([&] { writer.write(".", square, x); }, "not '.'");
  refuses([&] { writer.write("x", square, nullptr); }, "null memory for 4 elements");
  refuses([&] { writer.write("x", {DType::kFloat32, {-1}}, x); }, "negative dim");
  refuses(
      [&] {
        writer.write("x", square, {{1, 0}, {2, 2}}, x);
      },
      "does not lie inside the tensor of shape [2, 2]");
  writer.write("x", square, {{0, 0}, {1, 2}}, x);
  refuses([&] { writer.write("x", {DType::kFloat32, {4}}, x); }, "was float32 [2, 2], but now float32 [4]");
  refuses([&] { writer.write("x", {DType::kInt32, {2, 2}}, x); }, "but now int32 [2, 2]");
  refuses([&] { writer.write("x", square, {{0, 1}, {2, 1}}, x); }, "the part [2, 1] from [0, 1] overlaps");
  writer.set("a", 1.0);
  refuses([&] { writer.set("a", 2.0); }, "attribute 'a' is already set");
  refuses([&] { writer.set("complete", 2.0); }, "'complete' is not a name for an attribute");
  refuses([&] { writer.set("b", std::string("x\0y", 3)); }, "zero byte");
  refuses([&] { writer.commit(); }, "tensor 'x': 2 of its 4 elements were written");
  writer.write("x", square, {{1, 0}, {1, 2}}, x);
  writer.commit();
  refuses([&] { writer.commit(); }, "already committed");
  refuses([&] { writer.write("y", square, x); }, "already committed");
  refuses([&] { writer.set("c", 1.0); }, "already committed");
}

TEST_F(TensorStoreTest, SeveralThreadsMayRead) {
  write_small(file());
  const TensorStore store(file());
  std::array<bool, 4> same = {};
  {
    std::vector<std::jthread> threads;
    for (bool& result : same)
      threads.emplace_back([&store, &result] {
        result = true;
        for (int i = 0; i < 50; ++i) {
          result &= read<float>(store, "encoder.block.0.wi", DType::kFloat32) == floats();
          result &= read<std::int32_t>(TensorStore(store.path()), "ids", DType::kInt32) == ids();
        }
      });
  }
  EXPECT_THAT(same, testing::Each(true));
}

#ifdef TRIMTAB_H5DUMP
// Other programs read it: the values in h5dump's own words.
TEST_F(TensorStoreTest, OtherProgramsReadIt) {
  write_small(file());
  const auto dump = [&](const std::string& options) {
    std::string text;
    FILE* pipe = ::popen(fmt::format("{} {} '{}' 2>&1", TRIMTAB_H5DUMP, options, file()).c_str(), "r");
    std::array<char, 4096> block;
    for (std::size_t n; pipe && (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;)
      text.append(block.data(), n);
    EXPECT_EQ(::pclose(pipe), 0) << text;
    return text;
  };
  EXPECT_THAT(dump("-d /tensors/encoder.block.0.wi"),
              AllOf(HasSubstr("H5T_IEEE_F32LE"), HasSubstr("( 3, 4 )"),
                    HasSubstr("(0,0): -3.25, -2.25, -1.25, -0.25")));
  EXPECT_THAT(dump("-d /tensors/bits"),
              AllOf(HasSubstr("H5T_STD_U16LE"), HasSubstr("\"bfloat16"), HasSubstr("(0,0): 16256, 49152")));
  EXPECT_THAT(dump("-A"),
              AllOf(HasSubstr("trimtab tensor store"), HasSubstr("30000"), HasSubstr("name: tiny")));
}
#endif

}  // namespace
}  // namespace trimtab
