// SPDX-License-Identifier: Apache-2.0
#include "data/tsv.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

std::vector<std::string_view> split_tabs(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

}  // namespace

std::string TsvRow::place() const { return fmt::format("{}:{}", path_, line_); }

bool TsvRow::has(const std::string& column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

std::string TsvRow::text(const std::string& column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  if (found == header_.end())
    fail("{}: column '{}' is missing (the header has: {})", path_, column, fmt::join(header_, ", "));
  return std::string(fields_[static_cast<std::size_t>(found - header_.begin())]);
}

std::size_t for_each_tsv_row(const TextFile& file, const std::function<void(const TsvRow&)>& visit,
                             const TsvOptions& options) {
  if (file.text.empty()) fail("{}: the file is empty", file.name);
  std::vector<std::string> header = options.columns;
  bool any = false;
  std::size_t left_out = 0;
  for_each_line(file, [&](std::string_view line, std::size_t number) {
    const std::vector<std::string_view> fields = split_tabs(line);
    if (header.empty()) {
      header.assign(fields.begin(), fields.end());
      return;
    }
    if (line.empty()) return;
    if (options.skip_short && fields.size() < header.size()) {
      ++left_out;
      return;
    }
    if (fields.size() != header.size())
      fail("{}:{}: the row has {} tab-separated fields, but the {} {} ({})", file.name, number, fields.size(),
           options.columns.empty() ? "header has" : "columns are", header.size(), fmt::join(header, ", "));
    visit(TsvRow(file.name, number, header, fields));
    any = true;
  });
  if (!any) fail("{}: the file has no rows", file.name);
  return left_out;
}

std::size_t for_each_tsv_row(const std::string& path, const std::function<void(const TsvRow&)>& visit) {
  return for_each_tsv_row(read_text(path), visit);
}

}  // namespace trimtab
