// SPDX-License-Identifier: Apache-2.0
//
// How a run is started on a machine, in words of a shell: the command line for mpirun, or the whole batch
// file for Slurm, as launch/mpirun.sh and launch/slurm/ have them. Text in, text out; nothing is started.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace trimtab {

// What runs where. Checked by whoever reads it from a command line (check_machine).
struct LaunchRequest {
  std::string launcher = "slurm";  // or "mpirun"
  std::int64_t nodes = 1;
  std::int64_t ranks_per_node = 1;
  std::int64_t gpus_per_node = 0;
  std::int64_t cores_per_rank = 4;
  std::string hosts;  // "a:4,b:4" for mpirun; "": this machine, or the batch system's nodes
  std::string time = "04:00:00", partition, account, qos;
  std::string memory;                 // of a node, as Slurm writes it; "": the cluster's default
  std::vector<std::string> sbatch{};  // further options of the batch file
  std::vector<std::string> setup{};   // lines of the shell before the command
  std::int64_t warning = 180;         // seconds before the time limit at which ranks are told to save
  bool preempt = false;               // queued again until done
  std::int64_t runs = 0;              // of a comparison, one a task of an array; 0: one run
  std::int64_t at_once = 4;           // tasks of the array

  std::string name;                               // of the job
  std::string folder;                             // that relative paths count from
  std::string program;                            // trimtab
  std::vector<std::string> arguments;             // of it: "train", the file, --set ...
  std::map<std::string, std::string> settings{};  // variables of the environment that hold on all hosts

  std::int64_t ranks() const { return nodes * ranks_per_node; }
};

// As one word that bash and sh read back as it was.
std::string shell_word(const std::string& text);

// The nodes and ranks that `hosts` names; all its hosts must have as many ranks. Throws ConfigError.
void take_hosts(LaunchRequest& request, const std::string& hosts);

// Throws ConfigError that names the flag: names, times and memory that Slurm would not take, what would end a
// line, flags that the launcher has no use for.
void check_request(const LaunchRequest& request);

// Ends with a new line.
std::string mpirun_command(const LaunchRequest& request);
std::string slurm_file(const LaunchRequest& request);

}  // namespace trimtab
