// SPDX-License-Identifier: Apache-2.0
#include "models/formats/zarr.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <span>

#include "models/formats/json_fields.h"
#include "models/formats/mapped_file.h"
#include "models/formats/weight_files.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

// T5X's chunks are some megabytes; one of more than this is a damaged number.
constexpr std::int64_t kLargestChunk = std::int64_t{1} << 32;

Shape extents(const Json& json, const char* name, const std::string& where) {
  const auto value = json.find(name);
  if (value == json.end() || !value->is_array())
    fail("{}: '{}' must be a list of whole numbers", where, name);
  Shape out;
  for (const Json& extent : *value) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > (std::uint64_t{1} << 48))
      fail("{}: '{}' must be a list of whole numbers", where, name);
    out.push_back(extent.get<std::int64_t>());
  }
  return out;
}

// Elements of a shape, or Error when they are more than anything holds.
std::int64_t counted(const Shape& shape, std::int64_t most, const char* what, const std::string& where) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count) || count > most)
      fail("{}: {} {} is too large", where, what, to_string(shape));
  return count;
}

void read_compressor(const Json& json, const std::string& where, ZarrInfo& info) {
  const auto compressor = json.find("compressor");
  if (compressor == json.end() || compressor->is_null()) return;
  std::string id;
  if (compressor->is_object()) JsonFields(*compressor, where, "compressor.").need("id", id);
  info.gzip = id == "gzip";
  if (!info.gzip)
    fail(
        "{}: the compressor '{}' is not read, only gzip and none: write the checkpoint with gzip (T5X's "
        "default)",
        where, id);
}

// The bytes of a chunk.
std::vector<std::byte> chunk_bytes(const std::string& path, bool gzip, std::size_t size) {
  const MappedFile file(path);
  std::vector<std::byte> out(size);
  if (!gzip) {
    if (file.bytes().size() != size)
      fail("{}: {} bytes, but a chunk has {}", path, file.bytes().size(), size);
    std::memcpy(out.data(), file.bytes().data(), size);
    return out;
  }
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (inflateInit2(&stream, kGzip) != Z_OK) fail("{}: zlib cannot begin", path);
  // zlib counts in 32 bits.
  std::size_t given = 0, taken = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    constexpr std::size_t kStep = std::size_t{1} << 30;
    const std::size_t in = std::min(kStep, file.bytes().size() - given), room = std::min(kStep, size - taken);
    std::byte spare{};  // one byte of room, so that bytes too many are seen
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file.bytes().data() + given));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(room > 0 ? out.data() + taken : &spare);
    stream.avail_out = static_cast<uInt>(std::max<std::size_t>(room, 1));
    status = inflate(&stream, Z_NO_FLUSH);
    given += in - stream.avail_in;
    if (room == 0 && stream.avail_out == 0) status = Z_BUF_ERROR;
    if (room > 0) taken += room - stream.avail_out;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || taken != size)
    fail("{}: is no gzip file of {} bytes: is it damaged or cut off?", path, size);
  return out;
}

float element(const std::byte* bytes, DType dtype, std::int64_t index) {
  if (dtype == DType::kFloat32) {
    float value;
    std::memcpy(&value, bytes + index * 4, sizeof(value));
    return value;
  }
  std::uint16_t upper;
  std::memcpy(&upper, bytes + index * 2, sizeof(upper));
  return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
}

// Copies what of a chunk lies in the array, row by row of the last dim.
void place_chunk(const std::vector<std::byte>& bytes, const ZarrInfo& info, const Shape& first,
                 std::vector<float>& out) {
  const std::size_t dims = info.shape.size();
  Shape count(dims), at(dims, 0);
  for (std::size_t d = 0; d < dims; ++d) count[d] = std::min(info.chunks[d], info.shape[d] - first[d]);
  const std::int64_t row = dims == 0 ? 1 : count.back();
  for (bool more = true; more;) {
    std::int64_t from = 0, to = 0;
    for (std::size_t d = 0; d < dims; ++d) {
      from = from * info.chunks[d] + at[d];
      to = to * info.shape[d] + first[d] + at[d];
    }
    for (std::int64_t i = 0; i < row; ++i)
      out[static_cast<std::size_t>(to + i)] = element(bytes.data(), info.dtype, from + i);
    more = false;
    for (std::size_t d = dims; !more && d-- > 1;) {
      more = ++at[d - 1] < count[d - 1];
      if (!more) at[d - 1] = 0;
    }
  }
}

// The numbers of each chunk, the last one fastest.
void for_each_chunk(const ZarrInfo& info, const std::function<void(const Shape&)>& use) {
  if (std::ranges::count(info.shape, 0) > 0) return;
  Shape index(info.shape.size(), 0);
  for (bool more = true; more;) {
    use(index);
    more = false;
    for (std::size_t d = index.size(); !more && d-- > 0;) {
      more = ++index[d] * info.chunks[d] < info.shape[d];
      if (!more) index[d] = 0;
    }
  }
}

std::string chunk_path(const std::string& folder, const ZarrInfo& info, const Shape& index) {
  const std::string name =
      index.empty() ? "0" : fmt::format("{}", fmt::join(index, std::string_view(&info.separator, 1)));
  return (fs::path(folder) / name).string();
}

// A chunk is there, and large enough to hold what it should.
void check_chunk(const std::string& path, const ZarrInfo& info, std::size_t bytes) {
  constexpr std::uint64_t kBestGzip = 1032;  // bytes of output that a byte can stand for
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error) fail("{}: the chunk is missing: was the checkpoint copied whole?", path);
  if (bytes / (info.gzip ? kBestGzip : 1) > size)
    fail("{}: {} bytes cannot hold a chunk of {}: is it cut off?", path, size, bytes);
}

}  // namespace

ZarrInfo zarr_info(const std::string& folder) {
  const std::string where = (fs::path(folder) / ".zarray").string();
  if (!fs::exists(where)) fail("{}: there is no .zarray: is this a zarr array of version 2?", folder);
  const Json json = parse_json_object(file_text(where), where);
  const JsonFields fields(json, where);
  ZarrInfo info;
  info.shape = extents(json, "shape", where);
  info.chunks = extents(json, "chunks", where);
  if (info.shape.size() != info.chunks.size() || std::ranges::count(info.chunks, 0) > 0)
    fail("{}: chunks {} do not fit the shape {}", where, to_string(info.chunks), to_string(info.shape));
  counted(info.shape, std::int64_t{1} << 40, "the shape", where);
  counted(info.chunks, kLargestChunk, "a chunk of", where);
  std::int64_t version = 0;
  std::string dtype, order, separator = ".";
  fields.need("zarr_format", version);
  fields.need("dtype", dtype);
  fields.need("order", order);
  fields.may("dimension_separator", separator);
  if (version != 2 || order != "C" || (separator != "." && separator != "/"))
    fail("{}: only arrays of version 2 in C order are read", where);
  if (dtype != "<f4" && dtype != "bfloat16")
    fail("{}: elements of type '{}' are not read, only '<f4' and 'bfloat16'", where, dtype);
  info.dtype = dtype == "<f4" ? DType::kFloat32 : DType::kBFloat16;
  info.separator = separator.front();
  if (fields.find("filters") != nullptr) fail("{}: filters are not read", where);
  read_compressor(json, where, info);
  return info;
}

std::vector<float> read_zarr(const std::string& folder, const ZarrInfo& info) {
  const std::size_t bytes = static_cast<std::size_t>(element_count(info.chunks)) * size_of(info.dtype);
  for_each_chunk(info,
                 [&](const Shape& index) { check_chunk(chunk_path(folder, info, index), info, bytes); });
  std::vector<float> out(static_cast<std::size_t>(element_count(info.shape)));
  for_each_chunk(info, [&](const Shape& index) {
    Shape first(index);
    for (std::size_t d = 0; d < first.size(); ++d) first[d] *= info.chunks[d];
    place_chunk(chunk_bytes(chunk_path(folder, info, index), info.gzip, bytes), info, first, out);
  });
  return out;
}

}  // namespace trimtab
