// SPDX-License-Identifier: Apache-2.0
//
// T5X checkpoints of our own making: a golden model written as T5X writes one, and the ways to be wrong.
#include <zlib.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "models/family.h"
#include "models/file_checks.h"
#include "models/formats/t5x_checkpoint.h"
#include "models/t5/t5_files.h"
#include "models/t5/t5_t5x.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kGolden = TRIMTAB_GOLDEN_DIR "/t5_depth";

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Matrix {
  Shape shape;
  std::vector<float> values;
};

// A zarr array in chunks of `chunks`; what lies beyond the edge is 7.
void write_zarr(const std::string& folder, const Matrix& matrix, const Shape& chunks, const json& compressor,
                const std::string& dtype = "<f4") {
  std::filesystem::create_directories(folder);
  const json meta = {{"shape", matrix.shape}, {"chunks", chunks},         {"dtype", dtype},
                     {"order", "C"},          {"compressor", compressor}, {"fill_value", nullptr},
                     {"filters", nullptr},    {"zarr_format", 2}};
  test::write_bytes(folder + "/.zarray", meta.dump());
  for (std::int64_t i = 0; i * chunks[0] < matrix.shape[0]; ++i)
    for (std::int64_t j = 0; j * chunks[1] < matrix.shape[1]; ++j) {
      std::string bytes;
      for (std::int64_t r = i * chunks[0]; r < (i + 1) * chunks[0]; ++r)
        for (std::int64_t c = j * chunks[1]; c < (j + 1) * chunks[1]; ++c) {
          const bool inside = r < matrix.shape[0] && c < matrix.shape[1];
          const float value =
              inside ? matrix.values[static_cast<std::size_t>(r * matrix.shape[1] + c)] : 7.0F;
          bytes += dtype == "<f4" ? test::bytes_of(std::vector<float>{value})
                                  : test::bytes_of(std::vector<std::uint16_t>{float_to_bfloat16(value)});
        }
      test::write_bytes(fmt::format("{}/{}.{}", folder, i, j), compressor.is_null() ? bytes : gzip(bytes));
    }
}

json inside(const Matrix& matrix) {
  const std::string bytes = test::bytes_of(matrix.values);
  const json array = {matrix.shape, "float32",
                      json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()))};
  return json::binary(json::to_msgpack(array), 1);
}

// The tree and the arrays of one checkpoint.
class Maker {
 public:
  explicit Maker(std::string folder) : folder_(std::move(folder)) {}

  void add(const std::string& name, const Matrix& matrix) {
    json& leaf = place(name);
    if (matrix.shape.size() < 2 || matrix.values.size() < 40) {
      leaf = inside(matrix);
      return;
    }
    leaf = {{"driver", "zarr"}, {"kvstore", {{"driver", "gfile"}, {"path", "target." + name}}}};
    // Chunks that divide neither dim.
    write_zarr(folder_ + "/target." + name, matrix, {matrix.shape[0] / 2 + 1, matrix.shape[1] - 1},
               {{"id", "gzip"}, {"level", 1}});
  }
  json& place(const std::string& name) {
    json* node = &tree_["optimizer"]["target"];
    std::size_t at = 0;
    for (std::size_t dot; (dot = name.find('.', at)) != std::string::npos; at = dot + 1)
      node = &(*node)[name.substr(at, dot - at)];
    return (*node)[name.substr(at)];
  }
  void finish() {
    tree_["version"] = 3;
    tree_["optimizer"]["state"]["step"] = inside({{}, {3.0F}});
    const std::vector<std::uint8_t> bytes = json::to_msgpack(tree_);
    test::write_bytes(folder_ + "/checkpoint", {bytes.begin(), bytes.end()});
  }

 private:
  std::string folder_;
  json tree_;
};

std::vector<float> read_all(const TensorSource& source, const std::string& name) {
  std::vector<float> out(static_cast<std::size_t>(element_count(source.info(name).shape)));
  source.read(name, {}, DType::kFloat32, out.data());
  return out;
}

// A golden model as T5X keeps it.
void write_golden(const std::string& folder) {
  const T5Files golden = open_t5(kGolden);
  Maker maker(folder);
  for (const auto& [name, shape] : t5_weights(golden.config)) {
    const T5xName stored = t5x_name(name);
    Matrix matrix{shape, read_all(*golden.weights, name)};
    if (stored.swapped) {
      const std::vector<float> from = matrix.values;
      for (std::int64_t r = 0; r < shape[0]; ++r)
        for (std::int64_t c = 0; c < shape[1]; ++c)
          matrix.values[static_cast<std::size_t>(c * shape[0] + r)] =
              from[static_cast<std::size_t>(r * shape[1] + c)];
      std::ranges::reverse(matrix.shape);
    }
    maker.add(stored.name, matrix);
  }
  maker.add("encoder.prompt.prompt.prompt", {{2, 32}, std::vector<float>(64, 1.0F)});
  maker.finish();
}

TEST(T5x, IsTheModelThatWasWritten) {
  const test::Folder folder;
  write_golden(folder.path());
  const T5Files golden = open_t5(kGolden);
  const T5Files files = open_t5(folder.path());
  T5Config expected = golden.config;
  expected.max_distance = 128;  // not in a checkpoint
  expected.dropout = files.config.dropout;
  EXPECT_TRUE(files.config == expected);
  for (const auto& [name, shape] : t5_weights(expected)) {
    EXPECT_EQ(files.weights->info(name).shape, shape) << name;
    EXPECT_EQ(read_all(*files.weights, name), read_all(*golden.weights, name)) << name;
  }
  EXPECT_EQ(family_of(folder.path()), "t5");
  import_t5(folder.path(), folder / "model.h5", DType::kFloat32);
  const T5Files imported = open_t5(folder / "model.h5");
  EXPECT_EQ(read_all(*imported.weights, "lm_head.weight"), read_all(*golden.weights, "lm_head.weight"));
}

TEST(T5x, SlabsAndTypes) {
  const test::Folder folder;
  write_golden(folder.path());
  const T5Files files = open_t5(folder.path());
  const std::string name = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight";
  const std::vector<float> all = read_all(*files.weights, name);
  const std::int64_t columns = files.weights->info(name).shape[1];
  std::vector<float> part(6);
  files.weights->read(name, {{3, 5}, {2, 3}}, DType::kFloat32, part.data());
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(part[i], all[(3 + i / 3) * static_cast<std::size_t>(columns) + 5 + i % 3]);
  std::vector<std::uint16_t> rounded(6);
  files.weights->read(name, {{3, 5}, {2, 3}}, DType::kBFloat16, rounded.data());
  EXPECT_EQ(rounded[4], float_to_bfloat16(part[4]));
  EXPECT_THAT(test::error_of([&] { files.weights->read(name, {}, DType::kInt32, rounded.data()); }),
              HasSubstr("cannot be read as int32"));
}

TEST(T5x, WhatIsMissingIsNamed) {
  const test::Folder folder;
  write_golden(folder.path());
  const std::string array = folder / "target.decoder.layers_1.mlp.wo.kernel";
  std::filesystem::rename(array + "/1.0", array + "/lost");
  const T5Files files = open_t5(folder.path());
  EXPECT_THAT(
      test::error_of([&] { read_all(*files.weights, "decoder.block.1.layer.2.DenseReluDense.wo.weight"); }),
      HasSubstr("wo.kernel/1.0: the chunk is missing"));
  std::filesystem::remove_all(array);
  EXPECT_THAT(test::error_of([&] { open_t5(folder.path()); }),
              AllOf(HasSubstr("target.decoder.layers_1.mlp.wo.kernel"), HasSubstr("no .zarray")));
}

TEST(T5x, OtherTreesAreRefused) {
  const test::Folder folder;
  Maker maker(folder.path());
  maker.add("encoder.encoder.attention.query.kernel", {{2, 2}, {1, 2, 3, 4}});
  maker.finish();
  EXPECT_THAT(test::error_of<ConfigError>([&] { open_t5(folder.path()); }),
              AllOf(HasSubstr("encoder.layers_0.attention.query.kernel"), HasSubstr("scan_layers")));
  test::write_bytes(folder / "checkpoint", std::string(5000, '\x91'));
  EXPECT_THAT(test::error_of([&] { T5xCheckpoint{folder.path()}; }), HasSubstr("nested too deeply"));
  test::write_bytes(folder / "checkpoint", "\x81\xa1x");
  EXPECT_THAT(test::error_of([&] { T5xCheckpoint{folder.path()}; }), HasSubstr("is no msgpack file of T5X"));
  test::write_bytes(folder / "checkpoint", "\x80");
  EXPECT_THAT(test::error_of([&] { T5xCheckpoint{folder.path()}; }), HasSubstr("holds no parameters"));
}

TEST(T5x, NamesThatLeaveTheFolderAreRefused) {
  const test::Folder folder;
  Maker maker(folder.path());
  maker.place("../x") = {{"driver", "zarr"}, {"kvstore", {{"path", "target.x"}}}};
  maker.finish();
  EXPECT_THAT(test::error_of([&] { T5xCheckpoint{folder.path()}; }), HasSubstr("a parameter is called"));
}

TEST(Zarr, WithoutCompressorAndInBFloat16) {
  const test::Folder folder;
  write_zarr(folder / "plain", {{2, 3}, {1, 2, 3, 4, 5, 6}}, {2, 2}, nullptr);
  EXPECT_THAT(read_zarr(folder / "plain", zarr_info(folder / "plain")), ElementsAre(1, 2, 3, 4, 5, 6));
  write_zarr(folder / "half", {{2, 3}, {1, 2, 3, 4, -5, 0.5}}, {1, 3}, {{"id", "gzip"}}, "bfloat16");
  EXPECT_THAT(read_zarr(folder / "half", zarr_info(folder / "half")), ElementsAre(1, 2, 3, 4, -5, 0.5));
}

TEST(Zarr, DamagedChunksAreNamed) {
  const test::Folder folder;
  const std::string array = folder / "a";
  write_zarr(array, {{4, 4}, std::vector<float>(16, 1.5F)}, {4, 4}, {{"id", "gzip"}});
  const ZarrInfo info = zarr_info(array);
  const std::string chunk = test::read_bytes(array + "/0.0");
  const auto message = [&](const std::string& bytes) {
    test::write_bytes(array + "/0.0", bytes);
    return test::error_of([&] { read_zarr(array, info); });
  };
  EXPECT_THAT(message(chunk.substr(0, chunk.size() / 2)), HasSubstr("a/0.0: is no gzip file of 64 bytes"));
  EXPECT_THAT(message(gzip(std::string(68, 'x'))), HasSubstr("is no gzip file of 64 bytes"));
  EXPECT_THAT(message(gzip(std::string(60, 'x'))), HasSubstr("is no gzip file of 64 bytes"));
  EXPECT_THAT(message("nonsense"), HasSubstr("is no gzip file of 64 bytes"));
}

TEST(Zarr, DescriptionsThatAreNotRead) {
  const test::Folder folder;
  const std::string array = folder / "a";
  write_zarr(array, {{2, 2}, {1, 2, 3, 4}}, {2, 2}, nullptr);
  const json good = json::parse(test::read_bytes(array + "/.zarray"));
  const auto message = [&](const char* key, const json& value) {
    json changed = good;
    changed[key] = value;
    test::write_bytes(array + "/.zarray", changed.dump());
    return test::error_of([&] { zarr_info(array); });
  };
  EXPECT_THAT(message("compressor", {{"id", "blosc"}}), AllOf(HasSubstr("'blosc'"), HasSubstr("gzip")));
  EXPECT_THAT(message("dtype", "<f8"), HasSubstr("'<f8' are not read"));
  EXPECT_THAT(message("chunks", {2}), HasSubstr("do not fit the shape"));
  EXPECT_THAT(message("chunks", {0, 2}), HasSubstr("do not fit the shape"));
  EXPECT_THAT(message("shape", {-1, 2}), HasSubstr("whole numbers"));
  EXPECT_THAT(message("shape", {1LL << 40, 1LL << 40}), HasSubstr("too large"));
  EXPECT_THAT(message("order", "F"), HasSubstr("C order"));
  EXPECT_THAT(message("zarr_format", 3), HasSubstr("version 2"));
  EXPECT_THAT(message("filters", {{{"id", "delta"}}}), HasSubstr("filters"));
  // Memory is not asked for before the files could fill it.
  json large = good;
  large["shape"] = large["chunks"] = {1 << 15, 1 << 15};
  test::write_bytes(array + "/.zarray", large.dump());
  EXPECT_THAT(test::error_of([&] { read_zarr(array, zarr_info(array)); }), HasSubstr("is it cut off?"));
}

}  // namespace
}  // namespace trimtab
