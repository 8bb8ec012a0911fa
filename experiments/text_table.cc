// SPDX-License-Identifier: Apache-2.0
#include "experiments/text_table.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

// Of text on a screen: bytes that go on with a letter take no room.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string room(width - width_of(text), ' ');
  return left ? text + room : room + text;
}

}  // namespace

TableFormat parse_table_format(const std::string& name) {
  if (name == "text") return TableFormat::kText;
  if (name == "markdown") return TableFormat::kMarkdown;
  if (name == "csv") return TableFormat::kCsv;
  fail_config("--format: expected text, markdown or csv, found '{}'", name);
}

std::string aligned_table(const std::vector<Cells>& lines, std::size_t left_columns, bool markdown) {
  std::vector<std::size_t> widths(lines.front().size(), 0);
  for (const Cells& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  std::string out;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::string line = markdown ? "|" : "";
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = padded(lines[n][i], widths[i], i < left_columns);
      line += markdown ? fmt::format(" {} |", cell) : (i == 0 ? "" : "  ") + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (n > 0 || !markdown) continue;
    out += "|";
    for (std::size_t i = 0; i < widths.size(); ++i)
      out += i < left_columns ? fmt::format(":{:-<{}} |", "", widths[i])
                              : fmt::format(" {:->{}}:|", "", widths[i]);
    out += "\n";
  }
  return out;
}

std::string csv_line(const Cells& cells) {
  Cells quoted;
  for (const std::string& cell : cells) {
    if (cell.find_first_of(",\"\n") == std::string::npos) {
      quoted.push_back(cell);
      continue;
    }
    std::string text = "\"";
    for (const char c : cell) text += c == '"' ? "\"\"" : std::string(1, c);
    quoted.push_back(text + "\"");
  }
  return fmt::format("{}\n", fmt::join(quoted, ","));
}

std::string write_table(const std::vector<Cells>& lines, std::size_t left_columns, TableFormat format) {
  if (format != TableFormat::kCsv)
    return aligned_table(lines, left_columns, format == TableFormat::kMarkdown);
  std::string out;
  for (const Cells& line : lines) out += csv_line(line);
  return out;
}

}  // namespace trimtab
