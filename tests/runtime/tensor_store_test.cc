// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor_store.h"

#include <gmock/gmock.h>
#include <hdf5.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <thread>

#include "runtime/check.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

class TensorStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/trimtab_store_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name = "store.h5") const { return folder_ + "/" + name; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }

  // A store of one tensor of each type, a scalar, an empty tensor, and attributes.
  void write_small(const std::string& path) const {
    TensorStoreWriter writer(path);
    writer.write("encoder.block.0.wi", {DType::kFloat32, {3, 4}}, floats().data());
    writer.write("bits", {DType::kBFloat16, {2, 2}}, bits().data());
    writer.write("ids", {DType::kInt32, {3}}, ids().data());
    writer.write("wide", {DType::kInt64, {2}}, wide().data());
    const float scalar = 2.5f;
    writer.write("scalar", {DType::kFloat32, {}}, &scalar);
    writer.write("nothing", {DType::kFloat32, {0, 7}}, nullptr);
    writer.set("steps", std::int64_t{30'000});
    writer.set("rate", 0.3);
    writer.set("config", std::string("name: tiny\nmesh: {data: 1}\n"));
    writer.set("empty", std::string());
    writer.commit();
  }

  static std::vector<float> floats() {
    std::vector<float> values(12);
    std::iota(values.begin(), values.end(), -3.25f);
    return values;
  }
  static std::vector<std::uint16_t> bits() { return {0x3f80, 0xc000, 0x7fc0, 0x0001}; }
  static std::vector<std::int32_t> ids() { return {-1, 0, 32'127}; }
  static std::vector<std::int64_t> wide() { return {std::int64_t{1} << 40, -5}; }

  template <typename T>
  static std::vector<T> read(const TensorSource& store, const std::string& name, DType type,
                             const Slab& slab = {}) {
    std::vector<T> values(
        static_cast<std::size_t>(element_count(fitted(slab, store.info(name).shape, name).count)));
    store.read(name, slab, type, values.data());
    return values;
  }

  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }
  static void put_bytes(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string folder_;
};

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

TEST_F(TensorStoreTest, WithoutCommitNothingIsLeftBehind) {
  { TensorStoreWriter writer(file()); }
  EXPECT_THAT(files(), IsEmpty());
  write_small(file());
  const std::string before = bytes_of(file());
  {
    TensorStoreWriter writer(file());
    writer.write("ids", {DType::kInt32, {3}}, ids().data());
    EXPECT_EQ(bytes_of(file()), before);
  }
  EXPECT_THAT(files(), ElementsAre("store.h5"));
  EXPECT_EQ(bytes_of(file()), before);
}

TEST_F(TensorStoreTest, ReplacingAStoreLeavesOpenReadersTheOldOne) {
  write_small(file());
  const TensorStore old(file());
  {
    TensorStoreWriter writer(file());
    const std::int32_t seven = 7;
    writer.write("ids", {DType::kInt32, {1}}, &seven);
    writer.commit();
  }
  EXPECT_EQ(read<std::int32_t>(old, "ids", DType::kInt32), ids());
  EXPECT_THAT(read<std::int32_t>(TensorStore(file()), "ids", DType::kInt32), ElementsAre(7));
}

// A process that dies between the first write and commit() leaves the old store, and a leftover that does not
// open.
TEST_F(TensorStoreTest, AKilledWriterLeavesTheOldStoreAndARefusedLeftover) {
  write_small(file());
  const std::string before = bytes_of(file());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    TensorStoreWriter writer(file());
    writer.write("ids", {DType::kInt32, {3}}, ids().data());
    // What a periodic flush of the library would do.
    std::array<hid_t, 4> open;
    const ssize_t count =
        H5Fget_obj_ids(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_FILE, open.size(), open.data());
    for (ssize_t i = 0; i < count; ++i) H5Fflush(open[static_cast<std::size_t>(i)], H5F_SCOPE_GLOBAL);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(bytes_of(file()), before);
  EXPECT_EQ(files().size(), 2u);
  for (const std::string& name : files())
    if (name != "store.h5") {
      EXPECT_THAT([&] { TensorStore store(file(name)); },
                  ThrowsMessage<Error>(AllOf(HasSubstr(name), HasSubstr("the tensor store is incomplete"))));
    }
  write_small(file());
  EXPECT_NO_THROW(TensorStore(file()).verify());
}

TEST_F(TensorStoreTest, AFlippedElementIsFoundAndNamed) {
  write_small(file());
  std::string bytes = bytes_of(file());
  const float needle = floats()[5];
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&needle), sizeof needle));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  put_bytes(file(), bytes);
  const TensorStore store(file());
  EXPECT_THAT(
      [&] { store.verify(); },
      ThrowsMessage<Error>(AllOf(HasSubstr(file()), HasSubstr("tensor 'encoder.block.0.wi' is damaged"),
                                 HasSubstr(store.checksum("encoder.block.0.wi")))));
}

// Whatever byte is damaged: the store is refused, or verify() finds it, or nothing that can be read has
// changed.
TEST_F(TensorStoreTest, NoFlippedByteGoesUnnoticed) {
  write_small(file());
  const std::string good = bytes_of(file());
  std::size_t refused = 0;
  std::size_t found = 0;
  for (std::size_t at = 0; at < good.size(); at += 11) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    put_bytes(file("bad.h5"), bytes);
    std::unique_ptr<TensorStore> store;
    try {
      store = std::make_unique<TensorStore>(file("bad.h5"));
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("bad.h5"));
      ++refused;
      continue;
    }
    try {
      store->verify();
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr("bad.h5"), HasSubstr("tensor '")));
      ++found;
      continue;
    }
    EXPECT_EQ(store->names().size(), 6u) << at;
    EXPECT_EQ(read<float>(*store, "encoder.block.0.wi", DType::kFloat32), floats()) << at;
    EXPECT_EQ(read<std::uint16_t>(*store, "bits", DType::kBFloat16), bits()) << at;
    EXPECT_EQ(store->text("config"), "name: tiny\nmesh: {data: 1}\n") << at;
    EXPECT_EQ(store->real("rate"), 0.3) << at;
  }
  EXPECT_GE(found, 4u);
  EXPECT_GT(refused, good.size() / 11 / 4);
}

TEST_F(TensorStoreTest, ATruncatedFileIsRefused) {
  write_small(file());
  const std::string good = bytes_of(file());
  for (const std::size_t length : {good.size() - 1, good.size() / 2, std::size_t{100}}) {
    put_bytes(file("cut.h5"), good.substr(0, length));
    EXPECT_THAT(
        [&] { TensorStore store(file("cut.h5")); },
        ThrowsMessage<Error>(AllOf(HasSubstr("cut.h5"), HasSubstr("truncated"), HasSubstr("HDF5: "))));
  }
  put_bytes(file("cut.h5"), "");
  EXPECT_THAT([&] { TensorStore store(file("cut.h5")); },
              ThrowsMessage<Error>(HasSubstr("cut.h5: the file is empty")));
}

TEST_F(TensorStoreTest, ForeignFilesAreRefusedByName) {
  EXPECT_THAT([&] { TensorStore store(file("none.h5")); },
              ThrowsMessage<Error>(HasSubstr("none.h5: there is no such file")));
  EXPECT_THAT([&] { TensorStore store(folder_); }, ThrowsMessage<Error>(HasSubstr("there is no such file")));
  put_bytes(file("text.h5"), "this is not a store");
  EXPECT_THAT([&] { TensorStore store(file("text.h5")); },
              ThrowsMessage<Error>(HasSubstr("text.h5: this is not an HDF5 file")));
  H5Fclose(H5Fcreate(file("other.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  EXPECT_THAT([&] { TensorStore store(file("other.h5")); },
              ThrowsMessage<Error>(HasSubstr("other.h5: an HDF5 file, but not a tensor store of trimtab")));
}

// A tensor removed with other tools: every remaining byte is as HDF5 wants it, but the list is not the
// committed one.
TEST_F(TensorStoreTest, AnEditedStoreIsRefused) {
  write_small(file());
  const hid_t opened = H5Fopen(file().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(opened, 0);
  ASSERT_GE(H5Ldelete(opened, "/tensors/ids", H5P_DEFAULT), 0);
  H5Fclose(opened);
  EXPECT_THAT([&] { TensorStore store(file()); }, ThrowsMessage<Error>(HasSubstr("damaged or edited")));
}

TEST_F(TensorStoreTest, UnwritableFolderIsNamed) {
  EXPECT_THAT([&] { TensorStoreWriter writer(file("no/such/folder/x.h5")); },
              ThrowsMessage<Error>(HasSubstr("no/such/folder")));
}

// The limit on file sizes fails a write as a full device does.
TEST_F(TensorStoreTest, AFailedWriteSaysSoAndKeepsTheOldStore) {
  write_small(file());
  const std::string before = bytes_of(file());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int outcome = 1;
    try {
      TensorStoreWriter writer(file());
      const std::vector<float> large(1'000'000);
      writer.write("large", {DType::kFloat32, {1'000'000}}, large.data());
      writer.commit();
    } catch (const Error& e) {
      const std::string text = e.what();
      outcome = text.find("tensor 'large' cannot be written (HDF5: ") != std::string::npos &&
                        text.find("File too large") != std::string::npos
                    ? 0
                    : 2;
    }
    ::_exit(outcome);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_THAT(files(), ElementsAre("store.h5"));
  EXPECT_EQ(bytes_of(file()), before);
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

TEST_F(TensorStoreTest, HDF5ErrorsAreNotPrintedAndItsSettingIsKept) {
  testing::internal::CaptureStderr();
  put_bytes(file("cut.h5"), "\x89HDF\r\n\x1a\n");
  EXPECT_THROW(TensorStore store(file("cut.h5")), Error);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  H5E_auto2_t print = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &print, &data);
  EXPECT_NE(print, nullptr);
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
