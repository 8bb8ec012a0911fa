// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the tensor store share: a folder of their own, and a small store with one tensor of each
// kind.
#pragma once

#include <gmock/gmock.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/shard.h"
#include "runtime/tensor_store.h"

namespace trimtab {

class TensorStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/trimtab_store_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name = "store.h5") const { return folder_ + "/" + name; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename());
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

}  // namespace trimtab
