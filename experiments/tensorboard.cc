// SPDX-License-Identifier: Apache-2.0
#include "experiments/tensorboard.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/check.h"

namespace trimtab {
namespace detail {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) != 0 ? 0x82f63b78u : 0u);
    table[byte] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t value = 0xffffffffu;
  for (const char c : bytes) value = (value >> 8) ^ kTable[(value ^ static_cast<unsigned char>(c)) & 0xffu];
  return ~value;
}

std::uint32_t masked_crc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

}  // namespace detail

namespace {

// Wire types of protocol buffers, and the field numbers of event.proto and summary.proto.
constexpr std::uint64_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
constexpr std::uint64_t kEventTime = 1, kEventStep = 2, kEventVersion = 3, kEventSummary = 5,
                        kEventSession = 7;
constexpr std::uint64_t kSummaryValue = 1, kValueTag = 1, kValueSimple = 2, kSessionStatus = 1,
                        kSessionStart = 1;

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80u; value >>= 7) out.push_back(static_cast<char>((value & 0x7fu) | 0x80u));
  out.push_back(static_cast<char>(value));
}

template <typename Unsigned>
void put_fixed(std::string& out, Unsigned value) {
  for (std::size_t byte = 0; byte < sizeof(Unsigned); ++byte)
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * byte))));
}

void put_key(std::string& out, std::uint64_t field, std::uint64_t wire) {
  put_varint(out, field << 3 | wire);
}

void put_bytes(std::string& out, std::uint64_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event_head(double time, std::int64_t step) {
  std::string event;
  put_key(event, kEventTime, kFixed64);
  put_fixed(event, std::bit_cast<std::uint64_t>(time));
  put_key(event, kEventStep, kVarint);
  put_varint(event, static_cast<std::uint64_t>(step));
  return event;
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::string& folder, std::string_view host, Clock clock,
                                     std::int64_t first_step)
    : clock_(std::move(clock)) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail("{}: cannot be created: {}", folder, error.message());
  const double now = clock_();
  const std::string base =
      fmt::format("{}/events.out.tfevents.{:010d}.{}", folder, static_cast<std::int64_t>(now), host);
  path_ = base;
  for (int number = 1; std::filesystem::exists(path_); ++number) path_ = fmt::format("{}.{}", base, number);
  file_.open(path_, std::ios::binary);
  if (!file_) fail("{}: cannot be created: {}", path_, std::strerror(errno));
  std::string version = event_head(now, 0);
  put_bytes(version, kEventVersion, "brain.Event:2");
  write_record(version);
  std::string session;
  put_key(session, kSessionStatus, kVarint);
  put_varint(session, kSessionStart);
  std::string event = event_head(now, first_step);
  put_bytes(event, kEventSession, session);
  write_record(event);
  flush();
}

void TensorBoardWriter::add_scalar(std::string_view tag, std::int64_t step, double value) {
  std::string entry;
  put_bytes(entry, kValueTag, tag);
  put_key(entry, kValueSimple, kFixed32);
  put_fixed(entry, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
  std::string summary;
  put_bytes(summary, kSummaryValue, entry);
  std::string event = event_head(clock_(), step);
  put_bytes(event, kEventSummary, summary);
  write_record(event);
}

void TensorBoardWriter::write_record(std::string_view data) {
  std::string length;
  put_fixed(length, static_cast<std::uint64_t>(data.size()));
  std::string record = length;
  put_fixed(record, detail::masked_crc32c(length));
  record += data;
  put_fixed(record, detail::masked_crc32c(data));
  file_.write(record.data(), static_cast<std::streamsize>(record.size()));
  if (!file_) fail("{}: writing failed: {}", path_, std::strerror(errno));
}

void TensorBoardWriter::flush() {
  file_.flush();
  if (!file_) fail("{}: writing failed: {}", path_, std::strerror(errno));
}

}  // namespace trimtab
