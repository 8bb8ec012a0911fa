// SPDX-License-Identifier: Apache-2.0
#include "launch/same_command.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>

#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string compared_part(const std::vector<std::string>& command) {
  std::string out = "trimtab";
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (command[i] == "--set")
      ++i;
    else if (!command[i].starts_with("--set="))
      out += ' ' + command[i];
  }
  return out;
}

}  // namespace

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> out;
  for (std::string word; std::getline(file, word, '\0');) out.push_back(word);
  return out;
}

void require_same_command(Communicator& all, const std::vector<std::string>& command) {
  const std::vector<std::string> lines = gather_texts(all, compared_part(command));
  const auto other =
      std::ranges::find_if(lines, [&](const std::string& line) { return line != lines.front(); });
  if (other == lines.end()) return;
  std::vector<int> ranks;
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i] == *other) ranks.push_back(all.members()[i]);
  fail_config(
      "the ranks were started with different command lines: `{}` on rank {}, but `{}` on rank {}; start all "
      "ranks with the same verb and arguments, and let wrapper scripts hand on all that they are given",
      lines.front(), all.members()[0], *other, fmt::join(ranks, ", "));
}

}  // namespace trimtab
