// SPDX-License-Identifier: Apache-2.0
//
// Tab-separated files as GLUE is shipped: mostly with a header line; quotes are literal, a field never spans
// lines.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_file.h"

namespace trimtab {

// One row, valid during the visit only.
class TsvRow {
 public:
  TsvRow(const std::string& path, std::size_t line, const std::vector<std::string>& header,
         const std::vector<std::string_view>& fields)
      : path_(path), line_(line), header_(header), fields_(fields) {}

  // "file:line", for messages.
  std::string place() const;
  bool has(const std::string& column) const;
  // Throws Error that names file, the missing column and the columns that are there.
  std::string text(const std::string& column) const;

 private:
  const std::string& path_;
  std::size_t line_;
  const std::vector<std::string>& header_;
  const std::vector<std::string_view>& fields_;
};

struct TsvOptions {
  std::vector<std::string> columns{};  // their names, of a file that has no header line
  bool skip_short = false;             // leave out rows that have fewer fields than there are columns
};

// Returns the number of rows that were left out. Throws Error: a row that has not as many fields as there are
// columns (file and line); a file that is empty or has no row.
std::size_t for_each_tsv_row(const TextFile& file, const std::function<void(const TsvRow&)>& visit,
                             const TsvOptions& options = {});
// The same for a plain or gzip file.
std::size_t for_each_tsv_row(const std::string& path, const std::function<void(const TsvRow&)>& visit);

}  // namespace trimtab
