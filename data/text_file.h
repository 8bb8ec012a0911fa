// SPDX-License-Identifier: Apache-2.0
//
// Text input: plain, gzip (by content, not by name) and the members of zip files, checked to be UTF-8. Every
// message names file and line. Whole files are held in memory: the largest that tasks read are some tens of
// megabytes.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

// One text: a file, or a member of a zip file ("speeches.zip:1945-Truman.txt").
struct TextFile {
  std::string name{};
  std::string text{};
};

// What to do with bytes that are no UTF-8.
enum class InvalidUtf8 { kFail, kReplace };

// Position of the first byte that is not part of a well-formed UTF-8 sequence (overlong forms, surrogates and
// values above U+10FFFF are ill-formed).
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// Bytes of the well-formed sequence at the front of a text, or 0 if there is none.
std::size_t utf8_sequence_length(std::string_view text);

// A copy in which each ill-formed byte is U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// The bytes of a file as they are. Throws Error (file, reason) if it cannot be read.
std::string read_bytes(const std::string& path);

// The bytes of a file, unpacked if they are gzip. Throws Error that names a damaged or cut gzip file.
std::string read_unpacked(const std::string& path);

// A plain or gzip file as one text. Throws Error if it cannot be read.
TextFile read_text(const std::string& path);

// All texts of a path: one for a plain or gzip file, one a member (in stored order, folders left out) for a
// zip file.
std::vector<TextFile> read_texts(const std::string& path);

// Calls `visit(line, number)` with each line, numbered from 1, without its LF or CRLF and without a byte
// order mark. Throws Error "file:line: ..." for bytes that are no UTF-8, unless they are to be replaced.
void for_each_line(const TextFile& file,
                   const std::function<void(std::string_view line, std::size_t number)>& visit,
                   InvalidUtf8 invalid = InvalidUtf8::kFail);

// The same for a plain or gzip file. Throws Error if the file is empty.
void for_each_line(const std::string& path,
                   const std::function<void(std::string_view line, std::size_t number)>& visit);

}  // namespace trimtab
