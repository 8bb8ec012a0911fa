// SPDX-License-Identifier: Apache-2.0
//
// Runs the built program as a user would, and makes it something to run on: a vocabulary, a tiny random T5
// and a task of a few rows, in a folder of its own that is removed afterwards.
#pragma once

#include <string>
#include <vector>

namespace trimtab::testing {

struct Outcome {
  int code = -1;  // 128 + signal if one ended it
  std::string out, err;
};

// Arguments as they are, no shell.
Outcome run_command(const std::vector<std::string>& command);
// The built program.
Outcome run_program(const std::vector<std::string>& arguments, const std::string& standard_input = "");

// The same under mpirun, on so many ranks of this machine.
Outcome run_on_ranks(int ranks, const std::vector<std::string>& arguments,
                     const std::string& standard_input = "");
// What runs the program that heeds TRIMTAB_FAULT (faulty.cc) on so many ranks.
std::vector<std::string> faulty_command(int ranks, const std::vector<std::string>& arguments);
// The same with TRIMTAB_FAULT set to `fault`, by the program that heeds it (faulty.cc).
Outcome run_faulty_on_ranks(int ranks, const std::string& fault, const std::vector<std::string>& arguments);
// Each rank with arguments of its own.
Outcome run_on_ranks(const std::vector<std::vector<std::string>>& arguments);
// Each rank with a command of its own.
Outcome run_commands_on_ranks(const std::vector<std::vector<std::string>>& commands);
// The program in that folder.
std::vector<std::string> program_in(const std::string& folder, const std::vector<std::string>& arguments);

// Both at once.
std::vector<Outcome> run_side_by_side(const std::vector<std::string>& first,
                                      const std::vector<std::string>& second);

// Starts it, ends it with `signal` as soon as it has written `lines` lines to standard error, and waits.
Outcome run_and_signal(const std::vector<std::string>& arguments, int lines, int signal);

// Process ids of this machine whose command line has `word`; waits for a while until there are none.
std::vector<int> processes_left(const std::string& word);

class Workshop {
 public:
  Workshop();
  ~Workshop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;

  std::string vocabulary() const { return path("spiece.model"); }
  std::string model() const { return path("model.h5"); }
  // An experiment on the model and a task of 24 rows of two classes: prompt tuning, 6 steps.
  std::string experiment() const { return path("experiment.yaml"); }
  // Another random model of the same shape.
  std::string make_model(const std::string& name, unsigned seed) const;
  // A random Llama with the same vocabulary, 3 layers and shared heads of keys.
  std::string make_llama(const std::string& name, unsigned seed, int vocabulary = 128) const;

 private:
  std::string folder_;
};

}  // namespace trimtab::testing
