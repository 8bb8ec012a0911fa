// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libFuzzer in the ordinary build: gives a fuzz target each file of a corpus, and seeded
// mutations of them. An input that ends the program is left in ./crash-replay, which either program takes as
// an argument.
//
//   replay_NAME CORPUS [MUTATIONS]      CORPUS is a folder or one file
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using trimtab::Purpose;
using trimtab::RandomStream;

constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kLongest = 1 << 16;

std::string current;  // what the target runs on, for the signal handler

extern "C" void leave_input(int signal) {
  const int file = ::open("crash-replay", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  constexpr char kSaid[] = "replay: the input is in ./crash-replay\n";
  if (::write(file, current.data(), current.size()) < 0 || ::write(2, kSaid, sizeof(kSaid) - 1) < 0)
    ::_exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(std::string input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

// An allocation of the size that a damaged file asks for must fail here, as it would not on a large machine.
// Sanitizers reserve more than any bound.
void bound_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit{std::uint64_t{1} << 30, std::uint64_t{1} << 30};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
}

std::vector<std::string> read_corpus(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path))
    for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  else
    files.push_back(path);
  std::ranges::sort(files);
  std::vector<std::string> corpus;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (!in) {
      std::fprintf(stderr, "replay: cannot read %s\n", file.c_str());
      std::exit(2);
    }
  }
  return corpus;
}

// One to four changes, of the kinds that find faults in readers of binary and of text formats.
std::string mutated(const std::vector<std::string>& corpus, std::uint64_t number) {
  const RandomStream random(kSeed, Purpose::kTest, number);
  std::uint64_t drawn = 0;
  const auto below = [&](std::uint64_t bound) {
    return random.bounded(drawn++, std::max<std::uint64_t>(bound, 1));
  };
  std::string text = corpus[below(corpus.size())];
  for (std::uint64_t changes = 1 + below(4); changes > 0; --changes) {
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min<std::size_t>(1 + below(16), text.size() - at);
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 2: {  // a number near an edge, of one to eight bytes
        std::uint64_t value = (std::uint64_t{1} << below(64)) - below(3);
        for (std::size_t i = at; i < std::min(at + (std::size_t{1} << below(4)), text.size());
             ++i, value >>= 8)
          text[i] = static_cast<char>(value);
        break;
      }
      case 3:
        text.erase(at, length);
        break;
      case 4:
        text.insert(at, text.substr(at, length));
        break;
      case 5:
        text.resize(at);
        break;
      default: {  // the end of another
        const std::string& other = corpus[below(corpus.size())];
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
      }
    }
  }
  text.resize(std::min(text.size(), kLongest));
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "replay: %s is empty\n", argv[1]);
    return 2;
  }
  const bool one_file = !std::filesystem::is_directory(argv[1]);
  const std::uint64_t mutations = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : one_file ? 0 : 10000;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(signal, leave_input);
  bound_memory();
  for (const std::string& input : corpus) run(input);
  for (std::uint64_t number = 0; number < mutations; ++number) {
    ::alarm(20);  // for an endless loop
    run(mutated(corpus, number));
  }
  std::printf("%zu inputs and %llu mutations\n", corpus.size(), static_cast<unsigned long long>(mutations));
  return 0;
}
