// SPDX-License-Identifier: Apache-2.0
//
// Reading small zip files (stored and deflated members, no encryption, no zip64), as text corpora are
// shipped.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_file.h"

namespace trimtab {

bool is_zip(std::string_view bytes);

// All members but folders, in the order of the central directory, named "path:member". Checksums are
// verified. Throws Error that names file and member for anything damaged or not supported.
std::vector<TextFile> unzip(const std::string& path, std::string_view bytes);

// The first member that `wanted` accepts by its name, alone. Throws as unzip does.
std::optional<TextFile> unzip_member(const std::string& path, std::string_view bytes,
                                     const std::function<bool(std::string_view name)>& wanted);

}  // namespace trimtab
