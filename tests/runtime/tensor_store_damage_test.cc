// SPDX-License-Identifier: Apache-2.0
//
// What the tensor store does when writers die, devices fill up, and files are cut, damaged or of someone
// else.
#include <gmock/gmock.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>

#include "runtime/check.h"
#include "runtime/tensor_store.h"
#include "runtime/tensor_store_fixture.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

class DamagedStoreTest : public TensorStoreTest {
 protected:
  void flip_bytes() const;
};

void DamagedStoreTest::flip_bytes() const {
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

TEST_F(DamagedStoreTest, WithoutCommitNothingIsLeftBehind) {
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

TEST_F(DamagedStoreTest, ReplacingAStoreLeavesOpenReadersTheOldOne) {
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
TEST_F(DamagedStoreTest, AKilledWriterLeavesTheOldStoreAndARefusedLeftover) {
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

TEST_F(DamagedStoreTest, AFlippedElementIsFoundAndNamed) {
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
// changed. Every eleventh byte stands for all; together they meet each structure of the file. In a process of
// its own, since HDF5 1.10 loses memory when it gives up on a damaged file, which is not for our leak checks
// to find.
TEST_F(DamagedStoreTest, NoFlippedByteGoesUnnoticed) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    flip_bytes();
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(DamagedStoreTest, ATruncatedFileIsRefused) {
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

TEST_F(DamagedStoreTest, ForeignFilesAreRefusedByName) {
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

// Of an old superblock, whose driver block claims 1.5 GB for which HDF5 would ask.
TEST_F(DamagedStoreTest, ADriverBlockIsNotBelieved) {
  const std::string block = bytes_of(TRIMTAB_FUZZ_CORPUS "/tensor_store/driver_block");
  // HDF5 finds it behind 512 bytes of the user's, too, which here look like a newer superblock.
  for (const std::string& text : {block, std::string(512, '\2') + block}) {
    put_bytes(file("driver.h5"), text);
    EXPECT_THAT([&] { TensorStore store(file("driver.h5")); },
                ThrowsMessage<Error>(HasSubstr("driver.h5: an HDF5 file with a driver block")));
  }
}

// A tensor removed with other tools: every remaining byte is as HDF5 wants it, but the list is not the
// committed one.
TEST_F(DamagedStoreTest, AnEditedStoreIsRefused) {
  write_small(file());
  const hid_t opened = H5Fopen(file().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(opened, 0);
  ASSERT_GE(H5Ldelete(opened, "/tensors/ids", H5P_DEFAULT), 0);
  H5Fclose(opened);
  EXPECT_THAT([&] { TensorStore store(file()); }, ThrowsMessage<Error>(HasSubstr("damaged or edited")));
}

TEST_F(DamagedStoreTest, UnwritableFolderIsNamed) {
  EXPECT_THAT([&] { TensorStoreWriter writer(file("no/such/folder/x.h5")); },
              ThrowsMessage<Error>(HasSubstr("no/such/folder")));
}

// The limit on file sizes fails a write as a full device does.
TEST_F(DamagedStoreTest, AFailedWriteSaysSoAndKeepsTheOldStore) {
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
      // The system's reason alone: of HDF5's own words there are twenty lines.
      const std::string text = e.what();
      outcome = text.ends_with("tensor 'large' cannot be written: File too large") ? 0 : 2;
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

TEST_F(DamagedStoreTest, HDF5ErrorsAreNotPrintedAndItsSettingIsKept) {
  testing::internal::CaptureStderr();
  put_bytes(file("cut.h5"), "\x89HDF\r\n\x1a\n");
  EXPECT_THROW(TensorStore store(file("cut.h5")), Error);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  H5E_auto2_t print = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &print, &data);
  EXPECT_NE(print, nullptr);
}

}  // namespace
}  // namespace trimtab
