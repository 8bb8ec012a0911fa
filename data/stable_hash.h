// SPDX-License-Identifier: Apache-2.0
//
// The hash by which examples are dealt out to splits. It is part of the meaning of results and never changes.
#pragma once

#include <cstdint>
#include <string_view>

namespace trimtab {

// FNV-1a with splitmix64's finalizer.
inline std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace trimtab
