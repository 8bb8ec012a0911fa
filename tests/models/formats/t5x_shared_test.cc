// SPDX-License-Identifier: Apache-2.0
//
// The tiny checkpoint that the authors of prompt tuning published as T5X wrote it.
#include <cstdlib>

#include "models/file_checks.h"
#include "models/formats/npy.h"
#include "models/t5/t5_files.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

const std::string kData = TRIMTAB_SHARED_DIR "/data/t5_prompts_and_tiny_ckpt/test_data/";

TEST(PublishedT5x, EqualsItsTensors) {
  const test::Folder folder;
  const std::string unpack = "tar xzf '" + kData + "test_t5_1_1_tiny.tar.gz' -C '" + folder.path() + "'";
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  const std::string checkpoint = folder / "test_t5_1_1_tiny/checkpoint_3";
  const T5Files files = open_t5(checkpoint);
  EXPECT_EQ(files.config.encoder_layers, 2);
  EXPECT_EQ(files.config.heads, 2);
  EXPECT_EQ(files.config.d_kv, 2);
  EXPECT_EQ(files.config.buckets, 4);
  EXPECT_FALSE(files.config.tied_head);
  Sha256 sha;
  for (const std::string& name : files.weights->names()) {
    const Shape shape = files.weights->info(name).shape;
    std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
    files.weights->read(name, {}, DType::kFloat32, values.data());
    sha.update(fmt::format("{}|{}\n", name, fmt::join(shape, "|")));
    sha.update(values.data(), values.size() * sizeof(float));
    if (name == "shared.weight") {
      EXPECT_EQ(values, read_npy(kData + "tiny_embeddings_32128x4.npy").values);
    }
  }
  // Computed by NumPy from the same files, with the names and transposes written down a second time.
  EXPECT_EQ(sha.hex(), "aa6aca40d71eb168378c1f5be8c7585a10a409369bf73f3751ee17111dde6ef7");
}

}  // namespace
}  // namespace trimtab
