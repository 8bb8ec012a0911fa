// SPDX-License-Identifier: Apache-2.0
#include "experiments/preflight.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/questions.h"
#include "launch/console.h"
#include "launch/devices.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/own_folder.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  ExperimentArguments experiment;
  std::string folder;
  std::string json;
  double timeout = 60.0;
};

// What there is to set without an experiment.
struct MachineModel {
  std::string device = "cpu";
  std::int64_t threads = 0;
};
struct MachineConfig {
  MeshConfig mesh;
  MachineModel model;
};

template <class V>
void describe(V& v, MachineModel& s) {
  v.field("device", s.device, "Whose memory the axes move.", {.choices = {"cpu", "cuda"}});
  v.field("threads", s.threads, "Threads of a rank; 0: OMP_NUM_THREADS, else all cores that it owns.",
          {.min = 0});
}

template <class V>
void describe(V& v, MachineConfig& s) {
  v.field("mesh", s.mesh, "How the ranks share the work.");
  v.field("model", s.model, "Device and threads.");
}

// Whose sharing is checked, before MPI is there.
std::string folder_of(const Options& options) {
  if (!options.folder.empty()) return options.folder;
  return options.experiment.file.empty() ? "." : options.experiment.load().output;
}

// Without an experiment and a mesh the ranks are replicas.
ExperimentConfig config_of(const Options& options, int ranks) {
  if (!options.experiment.file.empty()) return options.experiment.load();
  const auto& set = options.experiment.overrides;
  const auto machine = parse_config<MachineConfig>("{}", "without an experiment", set);
  ExperimentConfig config;
  config.mesh = machine.mesh;
  config.model.device = machine.model.device;
  config.model.threads = machine.model.threads;
  if (std::ranges::none_of(set, [](const std::string& one) { return one.starts_with("mesh"); }))
    config.mesh.data = ranks;
  config.output = ".";
  return config;
}

// The same for the checks alone: whoever is late is named soon.
ExperimentConfig impatient(ExperimentConfig config, double timeout) {
  config.mesh.timeout = config.mesh.startup_timeout = timeout;
  config.mesh.late = std::max(1.0, timeout / 4);
  return config;
}

// Nothing is left behind.
RankFiles passing(const OwnFolder& own) { return {own.path(), /*stay=*/false}; }

// "" or why this rank has no device.
std::string why_no_device(const ExperimentConfig& config, const Job& job) {
  try {
    device_communicators(config, job.place_on_host());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

RankFacts facts_here(const ExperimentConfig& config, const Job& job, const std::string& no_device) {
  RankFacts facts;
  look_at_itself(facts);
  facts.launcher = job.place().launcher;
  if (job.place().starts_mpi) facts.launcher_size = job.place().size;
  facts.local_rank = job.place_on_host().rank;
  facts.local_size = job.place_on_host().size;
  if (no_device.empty()) {
    const TakenDevice device = taken_device(config);
    facts.device = device.name;
    facts.device_id = device.id;
  } else {
    facts.device = "none";
    facts.faults.push_back({"device", no_device});
  }
  return facts;
}

// Where not every rank has a device, the axes can move host memory only, and the fault is reported.
PreflightReport look(Job& job, const ExperimentConfig& config, const Options& options, const OwnFolder& own) {
  const ExperimentConfig quick = impatient(config, options.timeout);
  const std::string no_device = why_no_device(quick, job);
  World host = job.host_world(quick);
  const std::vector<std::string> reasons = gather_texts(host.all(), no_device);
  const auto lacking = std::ranges::count_if(reasons, [](const auto& reason) { return !reason.empty(); });
  if (lacking == host.all().size()) fail_config("{}", reasons.front());
  World world = lacking > 0 ? std::move(host) : job.world(quick);
  const auto watch = job.watch(world, quick.mesh, passing(own));
  PreflightRequest request;
  request.here = facts_here(quick, job, no_device);
  request.threads = static_cast<int>(config.model.threads);
  request.hints = core_hints();
  request.folder = options.folder;
  request.mark = own.name();
  if (lacking == 0 && config.model.device == "cuda") request.device = at::kCUDA;
  return preflight(world, request);
}

// What training reads and checks before its first step, memory included.
void check_experiment(Job& job, const ExperimentConfig& config, const OwnFolder& own) {
  World world = job.world(config);
  const auto watch = job.watch(world, config.mesh, passing(own));
  const Experiment experiment(config, world, TrainingData::kLoad, stop_requested);
  if (!job.speaks()) return;
  for (const std::string& warning : experiment.warnings()) std::printf("warning: %s\n", warning.c_str());
  std::printf("the experiment was read and checked on every rank, and fits into memory\n");
}

// Whether the launcher speaks of other ranks than MPI does.
bool is_foreign(const Job& job) {
  return job.place().starts_mpi && job.place().size != 0 && job.place().size != job.size();
}

// "" or why rank 0 could not write the report.
std::string why_no_report(const Options& options) {
  try {
    check_output_file("--json", options.json);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

int run(Options options) {
  if (!(options.timeout > 0 && std::isfinite(options.timeout)))
    fail_config("--timeout: {} is no time to wait; name a number of seconds above 0", options.timeout);
  options.folder = folder_of(options);
  const OwnFolder own(options.folder, ".preflight", OwnFolder::AfterFailure::kGoes);
  Job job(impatient({}, options.timeout).mesh, passing(own));
  // Told to all, so that none is ended while it still writes into the folder.
  const std::string no_report = job.ask_first_rank([&] { return why_no_report(options); });
  if (!no_report.empty()) fail_config("{}", no_report);
  ExperimentConfig config = config_of(options, job.size());
  if (is_foreign(job)) config.mesh = {.data = job.size()};  // the report says what is wrong
  mesh_of(config).check_world_size(job.size());
  const PreflightReport report = look(job, config, options, own);
  if (job.speaks()) {
    std::fputs(text_of(report).c_str(), stdout);
    std::fflush(stdout);
    if (!options.json.empty()) write_file_atomically(options.json, json_of(report));
  }
  if (!report.faults.empty()) return kFailure;
  if (options.experiment.file.empty()) return kSuccess;
  try {
    check_experiment(job, config, own);
    return kSuccess;
  } catch (const Interrupted&) {
    if (job.speaks()) std::fputs("preflight was stopped: the experiment is not checked to its end\n", stderr);
    return kInterrupted;
  }
}

}  // namespace

Verb add_preflight(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "preflight", "Check ranks, hosts, what lies between them and the shared folder, before a run");
  app->footer(
      "Start it as the run will be started:\n"
      "  mpirun -n 8 trimtab preflight --folder /shared/runs --set 'mesh={data: 2, pipe: 2, tensor: 2}'\n"
      "  srun --mpi=pmix trimtab preflight experiment.yaml\n"
      "With an experiment everything that it names is read and checked, too, as `train --dry-run` does.\n"
      "Exit codes: 0 all is well; 1 a fault of the machine, of which the first is named; 2 the request "
      "cannot\n"
      "be had (a mesh of other ranks, more memory than there is); 75 stopped by a signal.");
  const auto options = std::make_shared<Options>();
  app->add_option("experiment", options->experiment.file, "YAML file");
  app->add_option("--set", options->experiment.overrides,
                  "key=value, any key of the file; without one those of mesh, and model.device and "
                  "model.threads; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--folder", options->folder,
                  "Folder that all ranks are to share (default: the experiment's output, else this one)");
  app->add_option("--json", options->json, "Write the report to this file, too");
  app->add_option("--timeout", options->timeout,
                  "Seconds after which a rank that hangs is named and ends the job")
      ->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
