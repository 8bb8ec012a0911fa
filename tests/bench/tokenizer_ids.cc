// SPDX-License-Identifier: Apache-2.0
//
// trimtab_tokenizer_ids TOKENIZER TEXT [--special] [--repeat N]: the ids of each line of a file, a line each,
// for tokenizer_compare.py. On standard error, in seconds of processor time: opening the tokenizer, and
// encoding all lines, the best of N times.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>

#include "data/text_file.h"
#include "data/tokenizers/open_tokenizer.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Lines end with LF alone and may hold any other byte.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

int run(const std::string& path, const std::string& text_path, SpecialText special, int repeat) {
  double begin = processor_seconds();
  const auto tokenizer = open_tokenizer(path);
  const double open_seconds = processor_seconds() - begin;
  const std::string text = read_bytes(text_path);
  const std::vector<std::string_view> lines = lines_of(text);
  std::vector<std::vector<TokenId>> ids(lines.size());
  double best = 1e30;
  for (int i = 0; i < repeat; ++i) {
    begin = processor_seconds();
    for (std::size_t line = 0; line < lines.size(); ++line)
      ids[line] = tokenizer->encode(lines[line], special);
    best = std::min(best, processor_seconds() - begin);
  }
  for (const auto& line : ids) std::puts(fmt::format("{}", fmt::join(line, " ")).c_str());
  std::fprintf(stderr, "{\"open_s\": %.4f, \"encode_s\": %.4f}\n", open_seconds, best);
  return 0;
}

}  // namespace
}  // namespace trimtab

int main(int argc, char** argv) {
  CLI::App app("The ids of each line of a file");
  std::string tokenizer, text;
  bool special = false;
  int repeat = 1;
  app.add_option("tokenizer", tokenizer, "tokenizer.json, tokenizer.model or spiece.model")->required();
  app.add_option("text", text, "Lines to encode")->required();
  app.add_flag("--special", special, "Written special tokens become their ids");
  app.add_option("--repeat", repeat, "Times to encode all")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    using trimtab::SpecialText;
    return trimtab::run(tokenizer, text, special ? SpecialText::kToken : SpecialText::kPlain, repeat);
  } catch (const trimtab::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
