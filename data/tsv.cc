// SPDX-License-Identifier: Apache-2.0
#include "data/tsv.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "data/text_file.h"
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

std::string TsvRow::text(const std::string& column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  if (found == header_.end())
    fail("{}: column '{}' is missing (the header has: {})", path_, column, fmt::join(header_, ", "));
  return std::string(fields_[static_cast<std::size_t>(found - header_.begin())]);
}

void for_each_tsv_row(const std::string& path, const std::function<void(const TsvRow&)>& visit) {
  std::vector<std::string> header;
  bool any = false;
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    const std::vector<std::string_view> fields = split_tabs(line);
    if (number == 1) {
      header.assign(fields.begin(), fields.end());
      return;
    }
    if (line.empty()) return;
    if (fields.size() != header.size())
      fail("{}:{}: the row has {} tab-separated fields, but the header has {} ({})", path, number,
           fields.size(), header.size(), fmt::join(header, ", "));
    visit(TsvRow(path, number, header, fields));
    any = true;
  });
  if (!any) fail("{}: the file has no rows", path);
}

}  // namespace trimtab
