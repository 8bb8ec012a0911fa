// SPDX-License-Identifier: Apache-2.0
#include "launch/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "data/tokenizers/vocabulary_trainer.h"
#include "models/llama/llama_files.h"
#include "models/t5/t5_files.h"
#include "models/t5/t5_init.h"
#include "runtime/check.h"
#include "runtime/random.h"
#include "runtime/shard.h"

// The program with a fault, where a test has it.
#ifndef TRIMTAB_FAULTY
#define TRIMTAB_FAULTY TRIMTAB_PROGRAM
#endif

namespace trimtab::testing {
namespace {

constexpr const char* kExperiment = R"(name: tiny
output: {0}/run
model: {{weights: {0}/model.h5, threads: 1}}
method: {{name: prompt_tuning, length: 4}}
task:
  name: jsonl
  train: {0}/train.jsonl
  validation: {0}/dev.jsonl
  labels: [good, bad]
text: {{max_input: 32, max_target: 4}}
train: {{steps: 6, batch: 4, micro_batch_tokens: 256, evaluate_every: 3, checkpoint_every: 2, log_seconds: 0}}
)";

std::string rows(int count, int first) {
  const char* good[] = {"a warm and happy song", "the best day of summer", "kind words and clear light"};
  const char* bad[] = {"a cold and empty room", "the worst night of winter", "hard words and grey rain"};
  std::string out;
  for (int i = first; i < first + count; ++i)
    out += fmt::format("{{\"input\": \"{} number {}\", \"target\": \"{}\"}}\n",
                       i % 2 == 0 ? good[i / 2 % 3] : bad[i / 2 % 3], i, i % 2 == 0 ? "good" : "bad");
  return out;
}

std::string corpus() {
  const char* words[] = {"good",  "bad",  "warm",  "cold",  "happy", "empty", "song",
                         "room",  "day",  "night", "best",  "kind",  "worst", "clear",
                         "light", "rain", "grey",  "words", "hard",  "summer"};
  std::string out;
  unsigned state = 1;
  for (int line = 0; line < 400; ++line) {
    for (int word = 0; word < 9; ++word) {
      state = state * 1664525u + 1013904223u;
      out += std::string(word == 0 ? "" : " ") + words[(state >> 16) % 20];
    }
    out += fmt::format(" number {} of the and a\n", line);
  }
  return out;
}

// Normal numbers of a deviation that keeps activations near 1; norms are ones.
class RandomWeights : public TensorSource {
 public:
  RandomWeights(const WeightShapes& weights, unsigned seed) : seed_(seed) {
    for (const WeightShape& weight : weights) shapes_[weight.name] = weight.shape;
  }
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, shape] : shapes_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return shapes_.contains(name); }
  TensorInfo info(const std::string& name) const override { return {DType::kFloat32, shapes_.at(name)}; }
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    const Shape& shape = shapes_.at(name);
    const auto count = static_cast<std::size_t>(element_count(shape));
    std::vector<float> values(count, 1.0F);
    if (shape.size() == 2) {
      const auto stream = static_cast<std::uint64_t>(std::distance(shapes_.begin(), shapes_.find(name)));
      fill_normal(RandomStream(seed_, Purpose::kInit, stream), 0, count, values.data());
      for (float& value : values) value /= std::sqrt(static_cast<float>(shape[1]));
    }
    // The only reader copies whole tensors, in pieces of whole rows.
    if (type != DType::kFloat32) fail("random weights are float32");
    const std::size_t row = count / static_cast<std::size_t>(shape[0]);
    const std::size_t begin = slab.begin.empty() ? 0 : static_cast<std::size_t>(slab.begin[0]) * row;
    const std::size_t size = slab.count.empty() ? count : static_cast<std::size_t>(slab.count[0]) * row;
    std::copy_n(values.data() + begin, size, static_cast<float*>(out));
  }

 private:
  std::map<std::string, Shape> shapes_;
  std::uint64_t seed_;
  std::string path_ = "random weights";
};

struct Child {
  pid_t process = 0;
  int in = -1, out = -1, err = -1;
};

std::vector<std::string> program(const std::vector<std::string>& arguments) {
  std::vector<std::string> out = {TRIMTAB_PROGRAM};
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

// TRIMTAB_MPIRUN ends in the option that takes the number of ranks.
std::vector<std::string> mpirun() {
  std::vector<std::string> out;
  std::istringstream words(TRIMTAB_MPIRUN);
  for (std::string word; words >> word;) out.push_back(word);
  return out;
}

Child start(const std::vector<std::string>& command) {
  int in[2], out[2], err[2];
  if (pipe(in) != 0 || pipe(out) != 0 || pipe(err) != 0) fail("no pipe");
  const pid_t process = fork();
  if (process == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    for (const int descriptor : {in[0], in[1], out[0], out[1], err[0], err[1]}) close(descriptor);
    std::vector<char*> list;
    for (const std::string& word : command) list.push_back(const_cast<char*>(word.c_str()));
    list.push_back(nullptr);
    execvp(list[0], list.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  return {process, in[1], out[0], err[0]};
}

// Reads both streams to their ends; sends the signal once `lines` lines of standard error were there.
Outcome finish(Child child, const std::string& input, int lines, int signal) {
  std::signal(SIGPIPE, SIG_IGN);
  if (!input.empty() && write(child.in, input.data(), input.size()) < 0) fail("the program reads no input");
  close(child.in);
  Outcome outcome;
  int seen = 0;
  bool sent = false;
  pollfd polled[2] = {{child.out, POLLIN, 0}, {child.err, POLLIN, 0}};
  for (int open = 2; open > 0;) {
    poll(polled, 2, -1);
    for (pollfd& p : polled) {
      if (p.fd < 0 || p.revents == 0) continue;
      char bytes[4096];
      const ssize_t count = read(p.fd, bytes, sizeof(bytes));
      if (count <= 0) {
        close(p.fd);
        p.fd = -1;
        --open;
        continue;
      }
      (p.fd == child.out ? outcome.out : outcome.err).append(bytes, static_cast<std::size_t>(count));
      if (p.fd != child.err) continue;
      for (ssize_t i = 0; i < count; ++i) seen += bytes[i] == '\n' ? 1 : 0;
      if (lines > 0 && seen >= lines && !sent) {
        kill(child.process, signal);
        sent = true;
      }
    }
  }
  int status = 0;
  waitpid(child.process, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments, const std::string& standard_input) {
  return finish(start(program(arguments)), standard_input, 0, 0);
}

Outcome run_command(const std::vector<std::string>& command) { return finish(start(command), "", 0, 0); }

Outcome run_on_ranks(int ranks, const std::vector<std::string>& arguments,
                     const std::string& standard_input) {
  std::vector<std::string> command = mpirun();
  command.push_back(std::to_string(ranks));
  for (const std::string& word : program(arguments)) command.push_back(word);
  return finish(start(command), standard_input, 0, 0);
}

Outcome run_commands_on_ranks(const std::vector<std::vector<std::string>>& commands) {
  std::vector<std::string> command = mpirun();
  const std::string count_option = command.back();
  for (std::size_t rank = 0; rank < commands.size(); ++rank) {
    if (rank > 0) command.insert(command.end(), {":", count_option});
    command.emplace_back("1");
    command.insert(command.end(), commands[rank].begin(), commands[rank].end());
  }
  return finish(start(command), "", 0, 0);
}

Outcome run_on_ranks(const std::vector<std::vector<std::string>>& arguments) {
  std::vector<std::vector<std::string>> commands;
  for (const auto& of_rank : arguments) commands.push_back(program(of_rank));
  return run_commands_on_ranks(commands);
}

std::vector<std::string> program_in(const std::string& folder, const std::vector<std::string>& arguments) {
  std::vector<std::string> out = {"sh", "-c", "cd \"$0\" && exec \"$@\"", folder};
  for (const std::string& word : program(arguments)) out.push_back(word);
  return out;
}

std::vector<std::string> faulty_command(int ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = mpirun();
  command.insert(command.end(), {std::to_string(ranks), TRIMTAB_FAULTY});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Outcome run_faulty_on_ranks(int ranks, const std::string& fault, const std::vector<std::string>& arguments) {
  setenv("TRIMTAB_FAULT", fault.c_str(), 1);
  const Outcome outcome = finish(start(faulty_command(ranks, arguments)), "", 0, 0);
  unsetenv("TRIMTAB_FAULT");
  return outcome;
}

Outcome run_and_signal(const std::vector<std::string>& arguments, int lines, int signal) {
  return finish(start(program(arguments)), "", lines, signal);
}

std::vector<int> processes_left(const std::string& word) {
  std::vector<int> found;
  for (int tries = 0; tries < 200; ++tries) {
    found.clear();
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      const std::string line((std::istreambuf_iterator<char>(file)), {});
      if (line.find(word) != std::string::npos) found.push_back(std::stoi(entry.path().filename()));
    }
    if (found.empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return found;
}

std::vector<Outcome> run_side_by_side(const std::vector<std::string>& first,
                                      const std::vector<std::string>& second) {
  const Child a = start(program(first)), b = start(program(second));
  Outcome other;
  std::thread waiting([&] { other = finish(b, "", 0, 0); });
  const Outcome one = finish(a, "", 0, 0);
  waiting.join();
  return {one, other};
}

Workshop::Workshop() {
  std::string name = (std::filesystem::temp_directory_path() / "trimtab-cli-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) fail("no temporary folder");
  folder_ = name;
  write("corpus.txt", corpus());
  VocabularyOptions options;
  options.files = {path("corpus.txt")};
  options.size = 120;
  options.out = vocabulary();
  train_vocabulary(options);
  make_model("model.h5", 1);
  write("train.jsonl", rows(16, 0));
  write("dev.jsonl", rows(8, 16));
  write("experiment.yaml", fmt::format(fmt::runtime(kExperiment), folder_));
}

Workshop::~Workshop() { std::filesystem::remove_all(folder_); }

std::string Workshop::make_model(const std::string& name, unsigned seed) const {
  T5Config config;
  config.vocab = 256;
  config.d_model = 16;
  config.d_kv = 4;
  config.d_ff = 32;
  config.heads = 2;
  config.encoder_layers = 2;
  config.decoder_layers = 5;  // so many that three even stages cut both stacks
  std::ifstream file(vocabulary(), std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  save_t5(config, T5RandomWeights(config, seed), bytes.str(), path(name), DType::kFloat32);
  return path(name);
}

std::string Workshop::make_llama(const std::string& name, unsigned seed, int vocabulary) const {
  LlamaConfig config;
  config.vocab = vocabulary;
  config.d_model = 16;
  config.layers = 3;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.d_ff = 32;
  config.max_positions = 64;
  config.tied_head = true;
  config.pad_id = 0;
  config.eos_id = 1;
  LlamaFiles files{config,
                   std::make_unique<RandomWeights>(llama_weights(config), seed),
                   {"", read("spiece.model"), "spiece.model"}};
  save_llama(files, path(name), DType::kFloat32);
  return path(name);
}

std::string Workshop::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

std::string Workshop::read(const std::string& name) const {
  std::ifstream file(path(name), std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

}  // namespace trimtab::testing
