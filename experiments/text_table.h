// SPDX-License-Identifier: Apache-2.0
//
// Tables of text for people (aligned, Markdown) and for programs (CSV). The first line is the header.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace trimtab {

enum class TableFormat { kText, kMarkdown, kCsv };

// Throws ConfigError that names the formats.
TableFormat parse_table_format(const std::string& name);

using Cells = std::vector<std::string>;

// All lines have as many cells as the first, which is at least one; the first columns stand left, the rest
// right.
std::string write_table(const std::vector<Cells>& lines, std::size_t left_columns, TableFormat format);

// The parts of it, for tables whose CSV has other columns than people see.
std::string aligned_table(const std::vector<Cells>& lines, std::size_t left_columns, bool markdown);
std::string csv_line(const Cells& cells);

}  // namespace trimtab
