// SPDX-License-Identifier: Apache-2.0
//
// A tensor of a store as memory that is mapped, not read: pages come in when they are used and are shared by
// all processes of a machine. Read only; the mapping outlives the TensorStore and, on disk, the file's name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "runtime/check.h"
#include "runtime/tensor_store.h"

namespace trimtab {

class MappedTensor {
 public:
  MappedTensor() = default;  // of no elements
  // Throws Error that names file and tensor if it cannot be mapped, or does not begin where its elements may
  // (stores of older programs).
  MappedTensor(const TensorStore& store, const std::string& name);
  ~MappedTensor();
  MappedTensor(MappedTensor&& other) noexcept { swap(other); }
  MappedTensor& operator=(MappedTensor&& other) noexcept {
    swap(other);
    return *this;
  }

  // Row-major. T is as wide as an element.
  template <class T>
  std::span<const T> elements() const {
    TT_CHECK(count_ == 0 || sizeof(T) == element_bytes_, "elements of {} bytes are read as ones of {}",
             element_bytes_, sizeof(T));
    return {reinterpret_cast<const T*>(first_), count_};
  }

 private:
  void swap(MappedTensor& other) noexcept {
    std::swap(pages_, other.pages_);
    std::swap(page_bytes_, other.page_bytes_);
    std::swap(first_, other.first_);
    std::swap(count_, other.count_);
    std::swap(element_bytes_, other.element_bytes_);
  }

  void* pages_ = nullptr;
  std::size_t page_bytes_ = 0;
  const std::byte* first_ = nullptr;
  std::size_t count_ = 0;
  std::size_t element_bytes_ = 0;
};

}  // namespace trimtab
