// SPDX-License-Identifier: Apache-2.0
#include "experiments/build_id.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "experiments/machine.h"

namespace trimtab {
namespace {

// Where the library of this process lies, by its map of memory.
std::string path_of(const std::string& file_name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with("/" + file_name)) return line.substr(line.find('/'));
  return {};
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  for (int letter = 0; (letter = std::fgetc(pipe)) != EOF;) out += static_cast<char>(letter);
  pclose(pipe);
  return out;
}

TEST(BuildId, IsTheNoteThatTheLinkerLeft) {
  for (const std::string name : {"libtorch_cpu.so", "libc.so.6"}) {
    const std::string id = build_id(name);
    EXPECT_EQ(id.size(), 12U) << name;
    const std::string notes = output_of("readelf -n '" + path_of(name) + "' 2>&1");
    EXPECT_NE(notes.find("Build ID: " + id), std::string::npos) << notes;
  }
}

TEST(BuildId, OfWhatIsNotLoadedIsEmpty) { EXPECT_EQ(build_id("libtrimtab_none.so"), ""); }

TEST(BuildId, TellsWhichLibTorchIsLoaded) {
  const auto all = versions();
  const auto torch = std::ranges::find(all, "libtorch", &std::pair<std::string, std::string>::first);
  ASSERT_NE(torch, all.end());
  EXPECT_TRUE(torch->second.ends_with(" build " + build_id("libtorch_cpu.so"))) << torch->second;
}

}  // namespace
}  // namespace trimtab
