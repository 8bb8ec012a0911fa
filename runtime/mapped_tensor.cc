// SPDX-License-Identifier: Apache-2.0
#include "runtime/mapped_tensor.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "runtime/hdf5.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

static_assert(std::endian::native == std::endian::little, "stores are little-endian and mapped as they are");

// Where the elements of a contiguous dataset lie in its file.
std::uint64_t offset_in_file(const std::string& path, const std::string& name, const std::string& what) {
  const hdf5::Session session;
  const hdf5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, what);
  const hdf5::Handle group(H5Gopen2(file, hdf5::kTensors, H5P_DEFAULT), H5Gclose, what);
  const hdf5::Handle dataset(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, what);
  const haddr_t offset = H5Dget_offset(dataset);
  if (offset == HADDR_UNDEF) fail("{}: its elements are not in one piece", what);
  return offset;
}

}  // namespace

MappedTensor::MappedTensor(const TensorStore& store, const std::string& name) {
  const TensorInfo info = store.info(name);
  const auto count = static_cast<std::size_t>(element_count(info.shape));
  if (count == 0) return;
  const std::string what = fmt::format("{}: tensor '{}' cannot be mapped", store.path(), name);
  const std::uint64_t offset = offset_in_file(store.path(), name, what);
  element_bytes_ = size_of(info.dtype);
  if (offset % element_bytes_ != 0) fail("{}: it begins at byte {}, between two elements", what, offset);
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = offset / page * page;
  const std::size_t bytes = static_cast<std::size_t>(offset - begin) + count * element_bytes_;
  const int file = ::open(store.path().c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) fail("{}: {}", what, std::strerror(errno));
  // A page behind the end of the file would end the process when it is touched.
  const bool whole = static_cast<std::uint64_t>(status.st_size) >= begin + bytes;
  void* pages =
      whole ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, static_cast<off_t>(begin)) : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (pages == MAP_FAILED) fail("{}: {}", what, whole ? std::strerror(error) : "the file was cut");
  pages_ = pages;
  page_bytes_ = bytes;
  first_ = static_cast<const std::byte*>(pages_) + (offset - begin);
  count_ = count;
}

MappedTensor::~MappedTensor() {
  if (pages_ != nullptr) ::munmap(pages_, page_bytes_);
}

}  // namespace trimtab
