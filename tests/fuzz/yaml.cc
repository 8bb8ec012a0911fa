// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an experiment file: an Error that says what is wrong where, or a config whose dump reads as
// the same config. The first line, up to a line break, is an override as --set gives it.
#include <cstdlib>
#include <string>

#include "runtime/check.h"
#include "runtime/config.h"

namespace {

struct Part {
  std::string path;
  double weight = 1;
};
template <class V>
void describe(V& v, Part& s) {
  v.field("path", s.path, "A text.", {.required = true, .min_size = 1});
  v.field("weight", s.weight, "A number.", {.min = 0});
}

struct Settings {
  std::string name = "x";
  std::int64_t steps = 1;
  bool whether = false;
  std::string kind = "a";
  std::vector<std::string> words;
  std::vector<Part> parts;
  Part part{"p"};
};
template <class V>
void describe(V& v, Settings& s) {
  v.field("name", s.name, "A text.");
  v.field("steps", s.steps, "A whole number.", {.min = 1, .max = 1000});
  v.field("whether", s.whether, "Yes or no.");
  v.field("kind", s.kind, "One of two.", {.choices = {"a", "b"}});
  v.field("words", s.words, "Texts.");
  v.field("parts", s.parts, "Sections.");
  v.field("part", s.part, "A section.");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  std::vector<std::string> overrides;
  if (line != std::string::npos && line > 0) overrides.push_back(input.substr(0, line));
  try {
    const auto settings = trimtab::parse_config<Settings>(
        line == std::string::npos ? input : input.substr(line + 1), "f.yaml", overrides);
    const std::string dump = trimtab::dump_config(settings);
    if (trimtab::dump_config(trimtab::parse_config<Settings>(dump, "dump")) != dump) std::abort();
  } catch (const trimtab::Error&) {  // anything else is a finding
  }
  return 0;
}
