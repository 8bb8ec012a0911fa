// SPDX-License-Identifier: Apache-2.0
//
// Scalars for TensorBoard. An event file is a sequence of records (length, its checksum, data, its checksum),
// each a protocol buffer `tensorflow.Event` of which only five fields are needed; they are encoded here by
// hand. Reader: tensorboard/backend/event_processing; formats: tensorflow/core/util/event.proto,
// lib/io/record_writer.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

namespace trimtab {

class TensorBoardWriter {
 public:
  // Seconds since 1970.
  using Clock = std::function<double()>;

  // Creates `folder` if need be and in it events.out.tfevents.<seconds>.<host>, with a number behind it if
  // that file is there already; a file that is there is never written to. What an earlier file of the folder
  // says of `first_step`, the first that this run will write, and of later ones is left out of the plots.
  // Throws Error.
  TensorBoardWriter(const std::string& folder, std::string_view host, Clock clock,
                    std::int64_t first_step = 0);

  // `tag` as in "train/loss". Not flushed. Throws Error when the device is full.
  void add_scalar(std::string_view tag, std::int64_t step, double value);
  // Call it after each step that was written.
  void flush();

  const std::string& path() const { return path_; }

 private:
  void write_record(std::string_view data);

  Clock clock_;
  std::string path_;
  std::ofstream file_;
};

namespace detail {

// CRC-32C (Castagnoli).
std::uint32_t crc32c(std::string_view bytes);
// As record files keep it, since checksums of data that hold checksums are weak.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace detail
}  // namespace trimtab
