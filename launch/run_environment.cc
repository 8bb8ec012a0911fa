// SPDX-License-Identifier: Apache-2.0
#include "launch/run_environment.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "experiments/machine.h"
#include "experiments/run_record.h"
#include "launch/built_from.h"
#include "launch/launcher.h"
#include "launch/same_command.h"
#include "runtime/agreement.h"
#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kNames[] = {
    "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",      "OMP_PROC_BIND",
    "OMP_PLACES",           "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMIX_NAMESPACE",       "SLURM_JOB_ID",         "SLURM_JOB_NAME",
    "SLURM_JOB_NODELIST",   "SLURM_JOB_PARTITION",  "SLURM_CLUSTER_NAME",
    "SLURM_NNODES",         "SLURM_NTASKS",         "SLURM_CPUS_PER_TASK",
    "SLURM_GPUS_ON_NODE",   "SLURM_RESTART_COUNT",  "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",  "SLURM_SUBMIT_DIR"};
constexpr std::string_view kPrefixes[] = {"NCCL_", "TRIMTAB_", "OMPI_MCA_btl", "OMPI_MCA_oob",
                                          "OMPI_MCA_pml"};
constexpr std::string_view kSecrets[] = {"KEY", "PASS", "SECRET", "TOKEN"};

bool is_told(std::string_view name) {
  if (std::ranges::find(kNames, name) != std::end(kNames)) return true;
  const auto holds = [&](std::string_view word) { return name.find(word) != std::string_view::npos; };
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); }) &&
         std::ranges::none_of(kSecrets, holds);
}

Json told_variables() {
  std::vector<std::string> lines;
  for (char** line = environ; *line != nullptr; ++line) lines.emplace_back(*line);
  std::ranges::sort(lines);
  Json out = Json::object();
  for (const std::string& line : lines) {
    const std::size_t equals = std::min(line.find('='), line.size() - 1);
    if (is_told(std::string_view(line).substr(0, equals)))
      out[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return out;
}

// Its standard output; "" where it cannot be started, fails, or takes longer than a few seconds.
std::string output_of(std::vector<std::string> command) {
  command.insert(command.begin(), {"timeout", "5"});
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], 1);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t process = 0;
  const bool starts = ::posix_spawnp(&process, words[0], &files, nullptr, words.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&files);
  ::close(ends[1]);
  std::string out;
  std::array<char, 256> bytes{};
  for (ssize_t count = 0; starts && (count = ::read(ends[0], bytes.data(), bytes.size())) > 0;)
    out.append(bytes.data(), static_cast<std::size_t>(count));
  ::close(ends[0]);
  int status = 0;
  const bool ends_well = starts && ::waitpid(process, &status, 0) == process && status == 0;
  return ends_well ? out.substr(0, out.find('\n')) : "";
}

}  // namespace

SourceFile source_of(const std::string& path) {
  std::error_code as_it_is;
  const fs::path whole = fs::absolute(path, as_it_is);
  SourceFile out{whole.string(), "", false};
  if (known_place().rank != 0) return out;
  constexpr std::string_view kDirty = "-dirty";
  out.commit = output_of({"git", "--no-optional-locks", "-C", whole.parent_path().string(), "describe",
                          "--always", "--dirty", "--abbrev=40", "--exclude=*"});
  out.dirty = out.commit.ends_with(kDirty);
  if (out.dirty) out.commit.resize(out.commit.size() - kDirty.size());
  return out;
}

void write_environment(const std::string& output, const SourceFile& source, World& world) {
  const std::vector<std::string> hosts = gather_texts(world.all(), host_name());
  if (world.rank() != 0) return;
  std::error_code unknown;
  Json json = {{"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
               {"command", command_line()},
               {"folder", fs::current_path(unknown).string()},
               {"program",
                {{"path", fs::read_symlink("/proc/self/exe", unknown).string()}, {"built_from", kBuiltFrom}}},
               {"experiment", {{"file", source.path}}}};
  for (const auto& [what, version] : versions()) json["program"][what] = version;
  if (!source.commit.empty()) {
    json["experiment"]["commit"] = source.commit;
    json["experiment"]["dirty"] = source.dirty;
  }
  json["hosts_of_ranks"] = hosts;
  json["variables"] = told_variables();
  write_file_atomically(RunFolder(output).environment(),
                        json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace trimtab
