// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/comparison.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/launch_command.h"
#include "launch/verbs.h"
#include "runtime/check.h"
#include "runtime/config_tree.h"

namespace trimtab {
namespace {

struct Options {
  ExperimentArguments experiment;
  LaunchRequest request;
  std::string hosts;
  std::string program;
  std::int64_t nodes = 0, ranks_per_node = 0, cores_per_rank = 0;  // 0: as the rest says
  bool print = false;
};

// What a file asks for: one run, or the runs of a comparison, all on the same mesh.
struct Wanted {
  ExperimentConfig config;
  std::int64_t runs = 0;
};

Wanted read_wanted(const ExperimentArguments& arguments) {
  const ConfigNode root = read_yaml_file(arguments.file);
  if (root.find("base") == nullptr) return {arguments.load(), 0};
  const Comparison comparison = load_comparison(arguments.file, arguments.overrides);
  Wanted out{comparison.runs.front().config, static_cast<std::int64_t>(comparison.runs.size())};
  for (const ComparedRun& run : comparison.runs)
    if (mesh_of(run.config).size() != mesh_of(out.config).size() ||
        run.config.model.device != out.config.model.device)
      fail_config("{}: the runs {} and {} need other ranks or devices, which one array cannot give them",
                  arguments.file, comparison.runs.front().name, run.name);
  out.config.name = comparison.name;
  return out;
}

void choose_ranks(const Options& options, const ExperimentConfig& config, LaunchRequest& request) {
  const std::int64_t ranks = mesh_of(config).size();
  if (!options.hosts.empty()) {
    if (options.nodes + options.ranks_per_node > 0)
      fail_config("--hosts: says how many nodes and ranks there are; leave out --nodes and --ranks-per-node");
    take_hosts(request, options.hosts);
  } else {
    request.nodes = options.nodes > 0 ? options.nodes
                    : options.ranks_per_node > 0 && ranks % options.ranks_per_node == 0
                        ? ranks / options.ranks_per_node
                        : 1;
    request.ranks_per_node = options.ranks_per_node > 0   ? options.ranks_per_node
                             : ranks % request.nodes == 0 ? ranks / request.nodes
                                                          : 1;
  }
  if (request.ranks() != ranks)
    fail_config(
        "mesh: {} needs {} ranks, but {} node{} with {} rank{} each make {}; change mesh, --nodes or "
        "--ranks-per-node",
        mesh_of(config).text(), ranks, request.nodes, request.nodes == 1 ? "" : "s", request.ranks_per_node,
        request.ranks_per_node == 1 ? "" : "s", request.ranks());
}

void check_devices(const ExperimentConfig& config, const LaunchRequest& request) {
  const std::int64_t gpus = request.gpus_per_node;
  if (config.model.device == "cpu" && gpus > 0)
    fail_config(
        "--gpus-per-node: model.device is cpu, so that they would idle; set model.device=cuda, or leave "
        "the flag out");
  if (config.model.device == "cuda" && gpus < request.ranks_per_node)
    fail_config(
        "--gpus-per-node: model.device is cuda and {} rank{} of a node need as many devices, but there {} "
        "{}",
        request.ranks_per_node, request.ranks_per_node == 1 ? "" : "s", gpus == 1 ? "is" : "are", gpus);
}

std::string own_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "trimtab" : path.string();
}

// What trimtab, NCCL and OpenMP read from the environment. Slurm hands all of it on, mpirun to this host
// only.
std::map<std::string, std::string> settings() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    if (equals != text.npos &&
        (name.starts_with("TRIMTAB_") || name.starts_with("NCCL_") || name == "OMP_NUM_THREADS"))
      out.emplace(name, text.substr(equals + 1));
  }
  return out;
}

int run(const Options& options) {
  if (!options.print)
    fail_config("launch: trimtab starts nothing by itself; --print writes what does, for a shell or sbatch");
  const Wanted wanted = read_wanted(options.experiment);
  LaunchRequest request = options.request;
  choose_ranks(options, wanted.config, request);
  check_devices(wanted.config, request);
  const std::int64_t threads = wanted.config.model.threads;
  request.cores_per_rank = options.cores_per_rank != 0 ? options.cores_per_rank : threads > 0 ? threads : 4;
  request.runs = request.launcher == "slurm" ? wanted.runs : 0;
  request.name = wanted.config.name;
  request.folder = std::filesystem::current_path().string();
  request.settings = settings();
  request.program = options.program.empty() ? own_path() : options.program;
  request.arguments = {wanted.runs > 0 ? "compare" : "train", options.experiment.file};
  for (const std::string& set : options.experiment.overrides) {
    request.arguments.emplace_back("--set");
    request.arguments.push_back(set);
  }
  check_request(request);
  std::fputs((request.launcher == "mpirun" ? mpirun_command(request) : slurm_file(request)).c_str(), stdout);
  return kSuccess;
}

}  // namespace

Verb add_launch(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "launch", "Print the command or the batch file that starts an experiment on a cluster");
  app->footer(
      "Example:\n"
      "  trimtab launch --print rte.yaml --set 'mesh={data: 4, tensor: 2}' --nodes 2 --time 1-00:00 | "
      "sbatch\n"
      "  trimtab launch --print rte.yaml --launcher mpirun --hosts a:4,b:4 | sh\n"
      "A comparison becomes an array with a task for each run. --preempt: queued again, by Slurm when the "
      "node\n"
      "is taken away or lost, and by the file when the time was over or a rank was lost, until the run is\n"
      "done. With --launcher mpirun the variables TRIMTAB_*, NCCL_* and OMP_NUM_THREADS that are set now "
      "hold\n"
      "on all hosts.");
  const auto options = std::make_shared<Options>();
  LaunchRequest& request = options->request;
  app->add_flag("--print", options->print, "Write it to standard output");
  app->add_option("file", options->experiment.file, "YAML file of an experiment or a comparison")->required();
  app->add_option("--set", options->experiment.overrides, "key=value, as for train; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--launcher", request.launcher, "slurm or mpirun")->capture_default_str();
  app->add_option("--nodes", options->nodes, "Default: the mesh's ranks by --ranks-per-node, else 1")
      ->check(at_least(1));
  app->add_option("--ranks-per-node", options->ranks_per_node, "Default: the mesh's ranks by --nodes")
      ->check(at_least(1));
  app->add_option("--gpus-per-node", request.gpus_per_node,
                  "For model.device: cuda, at least a device a rank; 0: none")
      ->check(at_least(0));
  app->add_option("--cores-per-rank", options->cores_per_rank, "Default: model.threads, else 4")
      ->check(at_least(1));
  app->add_option("--hosts", options->hosts, "For mpirun: a:4,b:4, hosts and the ranks of each");
  app->add_option("--time", request.time, "Limit of a job")->capture_default_str();
  app->add_option("--partition", request.partition, "Of Slurm");
  app->add_option("--account", request.account, "Of Slurm");
  app->add_option("--qos", request.qos, "Of Slurm");
  app->add_option("--memory", request.memory, "Of a node, for Slurm: 64G; 0: all of it");
  app->add_option("--sbatch", request.sbatch,
                  "A further #SBATCH line, as in --sbatch=--constraint=a100; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--setup", request.setup,
                  "A line of the shell before the command, as in --setup 'module load openmpi', which ends "
                  "the job if it fails; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--warning", request.warning, "Seconds before the limit at which the ranks save and end")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_flag("--preempt", request.preempt, "Queue the job again until it is done");
  app->add_option("--at-once", request.at_once, "Tasks of an array that run at the same time")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--trimtab", options->program, "The program on the nodes (default: this one)");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
