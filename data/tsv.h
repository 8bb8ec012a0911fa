// SPDX-License-Identifier: Apache-2.0
//
// Tab-separated files with a header line, as GLUE is shipped: quotes are literal, a field never spans lines.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

// One row, valid during the visit only.
class TsvRow {
 public:
  TsvRow(const std::string& path, std::size_t line, const std::vector<std::string>& header,
         const std::vector<std::string_view>& fields)
      : path_(path), line_(line), header_(header), fields_(fields) {}

  // "file:line", for messages.
  std::string place() const;
  // Throws Error that names file, the missing column and the columns that are there.
  std::string text(const std::string& column) const;

 private:
  const std::string& path_;
  std::size_t line_;
  const std::vector<std::string>& header_;
  const std::vector<std::string_view>& fields_;
};

// Throws Error: a row that has not as many fields as the header (file and line); a file that is empty or has
// no row.
void for_each_tsv_row(const std::string& path, const std::function<void(const TsvRow&)>& visit);

}  // namespace trimtab
