// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/hdf5.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"
#include "runtime/tensor_store.h"

namespace trimtab {

namespace {

bool overlap(const Slab& a, const Slab& b) {
  for (std::size_t d = 0; d < a.begin.size(); ++d)
    if (a.begin[d] >= b.begin[d] + b.count[d] || b.begin[d] >= a.begin[d] + a.count[d]) return false;
  return true;
}

// Formats of HDF5 1.8: its metadata has checksums, and every reader of today knows it. No times, so that the
// same tensors give the same bytes.
hdf5::Handle create_file(const std::string& temporary, const std::string& what) {
  const hdf5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  hdf5::check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18), what);
  // So that elements can be used where they lie when the file is mapped.
  constexpr hsize_t kEveryObject = 1, kWidestElement = 8;
  hdf5::check(H5Pset_alignment(access, kEveryObject, kWidestElement), what);
  const hdf5::Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, what);
  hdf5::check(H5Pset_obj_track_times(creation, false), what);
  return {H5Fcreate(temporary.c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose, what};
}

}  // namespace

struct TensorStoreWriter::Impl {
  struct Written {
    hdf5::Handle dataset;
    hdf5::Entry entry;
    std::vector<Slab> parts;
    std::int64_t elements = 0;
  };

  explicit Impl(std::string path) : target(std::move(path)) {}

  // Needs a Session, as do all handles when they close.
  void create();

  std::string where(const std::string& name) const {
    return fmt::format("{}: tensor '{}'", target.path(), name);
  }
  void check_open() const {
    if (!open) fail("{}: the store is already committed", target.path());
  }
  Written& find_or_create(const std::string& name, const TensorInfo& info);

  AtomicPath target;
  bool open = true;
  hdf5::Handle file;
  hdf5::Handle group;
  std::map<std::string, Written> tensors;
  std::map<std::string, StoreAttribute> attributes;
};

void TensorStoreWriter::Impl::create() {
  const std::string what = fmt::format("{}: cannot create the tensor store", target.path());
  file = create_file(target.temporary(), what);
  const hdf5::Handle creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, what);
  hdf5::check(H5Pset_obj_track_times(creation, false), what);
  group = hdf5::Handle(H5Gcreate2(file, hdf5::kTensors, H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose, what);
  hdf5::write_attribute(file, hdf5::kFormat, std::string(hdf5::kFormatName), what);
  hdf5::write_attribute(file, hdf5::kVersion, hdf5::kVersionNumber, what);
}

TensorStoreWriter::TensorStoreWriter(std::string path) : impl_(std::make_unique<Impl>(std::move(path))) {
  const hdf5::Session session;
  try {
    impl_->create();
  } catch (...) {
    impl_.reset();
    throw;
  }
}

TensorStoreWriter::~TensorStoreWriter() {
  const hdf5::Session session;
  impl_.reset();
}

TensorStoreWriter::Impl::Written& TensorStoreWriter::Impl::find_or_create(const std::string& name,
                                                                          const TensorInfo& info) {
  if (const auto found = tensors.find(name); found != tensors.end()) {
    const TensorInfo& before = found->second.entry.info;
    if (before.dtype != info.dtype || before.shape != info.shape)
      fail("{} was {} {}, but now {} {} is written", where(name), name_of(before.dtype),
           to_string(before.shape), name_of(info.dtype), to_string(info.shape));
    return found->second;
  }
  if (name.empty() || name == "." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    fail("{}: a tensor's name is not empty, not '.', and has no '/' or zero byte", where(name));
  element_count(info.shape);
  const std::string what = where(name) + " cannot be created";
  const hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  hdf5::check(H5Pset_obj_track_times(creation, false), what);
  // Every element will be written, so filling the file first would only double the writing.
  hdf5::check(H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER), what);
  const hdf5::Handle space = hdf5::space_of(info.shape, what);
  Written written;
  written.entry.info = info;
  written.dataset = hdf5::Handle(
      H5Dcreate2(group, name.c_str(), hdf5::file_type(info.dtype), space, H5P_DEFAULT, creation, H5P_DEFAULT),
      H5Dclose, what);
  return tensors.emplace(name, std::move(written)).first->second;
}

void TensorStoreWriter::write(const std::string& name, const TensorInfo& info, const void* data) {
  write(name, info, Slab{}, data);
}

void TensorStoreWriter::write(const std::string& name, const TensorInfo& info, const Slab& slab,
                              const void* data) {
  impl_->check_open();
  const Slab part = fitted(slab, info.shape, impl_->where(name));
  const std::int64_t elements = element_count(part.count);
  if (data == nullptr && elements > 0) fail("{}: null memory for {} elements", impl_->where(name), elements);
  const hdf5::Session session;
  Impl::Written& written = impl_->find_or_create(name, info);
  for (const Slab& before : written.parts)
    if (overlap(before, part))
      fail("{}: the part {} from {} overlaps one that was written before", impl_->where(name),
           to_string(part.count), to_string(part.begin));
  if (elements == 0) return;
  hdf5::write_slab(written.dataset, info, part, data, impl_->where(name) + " cannot be written");
  written.parts.push_back(part);
  written.elements += elements;
  // Hashed from memory while it is at hand; a tensor written in parts is read back by commit().
  if (elements == element_count(info.shape)) {
    Sha256 digest;
    digest.update(data, static_cast<std::size_t>(elements) * size_of(info.dtype));
    written.entry.checksum = digest.hex();
  }
}

void TensorStoreWriter::set(const std::string& name, const StoreAttribute& value) {
  impl_->check_open();
  const std::string& path = impl_->target.path();
  if (name.empty() || name == hdf5::kFormat || name == hdf5::kVersion || name == hdf5::kComplete)
    fail("{}: '{}' is not a name for an attribute", path, name);
  if (impl_->attributes.contains(name)) fail("{}: attribute '{}' is already set", path, name);
  if (const auto* text = std::get_if<std::string>(&value); text && text->find('\0') != std::string::npos)
    fail("{}: the text of attribute '{}' holds a zero byte", path, name);
  const hdf5::Session session;
  hdf5::write_attribute(impl_->file, name, value,
                        fmt::format("{}: attribute '{}' cannot be written", path, name));
  impl_->attributes.emplace(name, value);
}

void TensorStoreWriter::commit(Durability durability) {
  impl_->check_open();
  const hdf5::Session session;
  std::map<std::string, hdf5::Entry> entries;
  for (auto& [name, written] : impl_->tensors) {
    hdf5::Entry& entry = written.entry;
    const std::int64_t wanted = element_count(entry.info.shape);
    if (written.elements != wanted)
      fail("{}: {} of its {} elements were written", impl_->where(name), written.elements, wanted);
    const std::string what = impl_->where(name) + " cannot be finished";
    if (entry.checksum.empty()) entry.checksum = hdf5::checksum(written.dataset, entry.info, what);
    hdf5::write_attribute(written.dataset, hdf5::kDType, std::string(name_of(entry.info.dtype)), what);
    hdf5::write_attribute(written.dataset, hdf5::kChecksum, entry.checksum, what);
    hdf5::check(written.dataset.reset(), what);
    entries.emplace(name, entry);
  }
  const std::string what = fmt::format("{}: the tensor store cannot be finished", impl_->target.path());
  hdf5::write_attribute(impl_->file, hdf5::kComplete, hdf5::manifest(entries, impl_->attributes), what);
  impl_->open = false;
  hdf5::check(impl_->group.reset(), what);
  hdf5::check(impl_->file.reset(), what);
  impl_->target.commit(durability);
}

}  // namespace trimtab
