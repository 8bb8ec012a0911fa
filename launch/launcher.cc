// SPDX-License-Identifier: Apache-2.0
#include "launch/launcher.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "runtime/check.h"

namespace trimtab {
namespace {

// What one launcher leaves; null: it has no such variable.
struct Traces {
  const char* launcher;
  bool starts_mpi;
  const char* marker;  // set by this launcher, by no outer one, and not in a job that runs none
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
  const char* node;
};

// srun leaves it in a step whose ranks speak PMIx: the same launcher, in the same scope, so that what else
// the step says holds.
constexpr Traces kSlurmStep = {
    "Slurm",         false,   "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID", nullptr, "SLURM_NODEID"};

// Innermost first, as far as variables tell: each hands on what an outer one left, so that of mpirun inside
// torchrun and torchrun inside mpirun the same ones are seen. Those that start ranks of MPI go first: a job
// that they started must not be refused, and the other way round MPI itself says what is wrong. Slurm is
// known by its step: a batch script has SLURM_PROCID = 0, too, and hands it on to all that mpirun starts.
// RANK and WORLD_SIZE are common words, so they come last unless torchrun signed them. Open MPI's NODE_RANK
// is no number of a node.
constexpr Traces kTraces[] = {
    {"Open MPI", true, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", nullptr},
    {"MVAPICH", true, "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE",
     "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE", nullptr},
    {"PMIx", true, "PMIX_RANK", "PMIX_RANK", nullptr, nullptr, nullptr, nullptr},
    {"PMI", true, "PMI_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", nullptr},
    {"torchrun", false, "TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
     "GROUP_RANK"},
    kSlurmStep,
    {"torchrun", false, "WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"},
};

int number(const Variables& variables, const char* name, int otherwise) {
  const std::optional<std::string> text = name != nullptr ? variables(name) : std::nullopt;
  if (!text) return otherwise;
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 0)
    fail_config("the variable {} of the environment is '{}', which is no number of a rank; unset it", name,
                *text);
  return value;
}

// Whether the PMIx that this process sees is that of the Slurm step that it is in, and not of a launcher
// inside.
bool speaks_pmix_of_slurm(const Variables& variables) {
  const auto space = variables("PMIX_NAMESPACE"), job = variables("SLURM_JOB_ID"),
             step = variables("SLURM_STEP_ID");
  return variables("PMIX_RANK") && space && job && step &&
         *space == fmt::format("slurm.pmix.{}.{}", *job, *step);
}

[[noreturn]] void fail_list(const std::string& variable, const std::string& text) {
  fail_config("the variable {} of the environment is '{}', which is no list of Slurm's; unset it", variable,
              text);
}

int list_number(std::string_view digits, const std::string& variable, const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || value < 0)
    fail_list(variable, text);
  return value;
}

// "1-2" or "07" between brackets, with what stands around them.
void add_range(std::vector<std::string>& out, std::string_view range, const std::string& before,
               const std::string& variable, const std::string& text) {
  const std::size_t dash = range.find('-');
  const std::string_view first = range.substr(0, dash),
                         last = dash == range.npos ? first : range.substr(dash + 1);
  const int begin = list_number(first, variable, text), end = list_number(last, variable, text);
  constexpr int kMostNodes = 1'000'000;
  if (end < begin || end - begin > kMostNodes) fail_list(variable, text);
  for (int node = begin; node <= end; ++node)
    out.push_back(fmt::format("{}{:0{}}", before, node, first.size()));
}

LauncherPlace place_of(const Traces& traces, const Variables& variables) {
  LauncherPlace place{traces.launcher, traces.starts_mpi};
  place.rank = number(variables, traces.rank, 0);
  place.size = number(variables, traces.size, 0);
  place.local_rank = number(variables, traces.local_rank, -1);
  place.local_size = number(variables, traces.local_size, 0);
  place.node = number(variables, traces.node, -1);
  return place;
}

// What a step says in lists over its nodes.
void add_step_lists(LauncherPlace& place, const Variables& variables) {
  constexpr const char *kNodes = "SLURM_STEP_NODELIST", *kTasks = "SLURM_STEP_TASKS_PER_NODE";
  if (const auto nodes = variables(kNodes)) place.nodes = expand_nodes(*nodes, kNodes);
  const auto tasks = variables(kTasks);
  if (!tasks || place.node < 0) return;
  const std::vector<int> counts = expand_counts(*tasks, kTasks);
  if (static_cast<std::size_t>(place.node) >= counts.size()) fail_list(kTasks, *tasks);
  place.local_size = counts[static_cast<std::size_t>(place.node)];
}

}  // namespace

Variables environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

LauncherPlace find_launcher(const Variables& variables) {
  for (const Traces& traces : kTraces) {
    if (!variables(traces.marker)) continue;
    const bool is_pmix = traces.launcher == std::string_view("PMIx");
    const bool is_step = is_pmix ? speaks_pmix_of_slurm(variables) && variables(kSlurmStep.marker)
                                 : traces.launcher == std::string_view(kSlurmStep.launcher);
    LauncherPlace place = place_of(is_step ? kSlurmStep : traces, variables);
    place.starts_mpi = traces.starts_mpi;
    if (is_step) add_step_lists(place, variables);
    return place;
  }
  return {};
}

int threads_wanted(const Variables& variables) {
  constexpr const char* kName = "OMP_NUM_THREADS";
  const std::optional<std::string> text = variables(kName);
  if (!text || text->empty()) return 0;
  int value = 0;
  const std::string first = text->substr(0, text->find(','));
  const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), value);
  constexpr int kMost = 1024;  // as of model.threads
  if (error != std::errc() || end != first.data() + first.size() || value < 1 || value > kMost)
    fail_config(
        "the variable {} of the environment is '{}', which is no number of threads from 1 to {}; unset it",
        kName, *text, kMost);
  return value;
}

int cores_of_task(const Variables& variables) {
  const bool is_task = find_launcher(variables).launcher == kSlurmStep.launcher;
  return is_task ? number(variables, "SLURM_CPUS_PER_TASK", 0) : 0;
}

int restarts_of(const Variables& variables) { return number(variables, "SLURM_RESTART_COUNT", 0); }

std::string job_name(const Variables& variables) {
  std::string name;
  const auto job = variables("SLURM_JOB_ID"), step = variables("SLURM_STEP_ID");
  if (const auto space = variables("PMIX_NAMESPACE"))
    name = *space;
  else if (job && step)
    name = *job + "." + *step;
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-'; }, '_');
  return name;
}

std::vector<std::string> expand_nodes(const std::string& text, const std::string& variable) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = text.find('[', at), comma = std::min(text.find(',', at), text.size());
    const bool is_plain = comma <= open;
    if (is_plain) {
      if (comma == at || text.substr(at, comma - at).find(']') != std::string::npos)
        fail_list(variable, text);
      out.push_back(text.substr(at, comma - at));
      at = comma + 1;
      continue;
    }
    const std::size_t close = text.find(']', open);
    if (close == std::string::npos || (close + 1 < text.size() && text[close + 1] != ','))
      fail_list(variable, text);
    const std::string before = text.substr(at, open - at);
    for (std::size_t from = open + 1; from <= close;) {
      const std::size_t end = std::min(text.find(',', from), close);
      add_range(out, std::string_view(text).substr(from, end - from), before, variable, text);
      from = end + 1;
    }
    at = close + 2;
  }
  if (out.empty() || text.ends_with(',')) fail_list(variable, text);
  return out;
}

std::vector<int> expand_counts(const std::string& text, const std::string& variable) {
  std::vector<int> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view part = std::string_view(text).substr(at, end - at);
    at = end + 1;
    int times = 1;
    if (const std::size_t open = part.find("(x"); open != part.npos) {
      if (!part.ends_with(')')) fail_list(variable, text);
      times = list_number(part.substr(open + 2, part.size() - open - 3), variable, text);
      part = part.substr(0, open);
    }
    constexpr int kMostNodes = 1'000'000;
    if (times < 1 || times > kMostNodes) fail_list(variable, text);
    out.insert(out.end(), static_cast<std::size_t>(times), list_number(part, variable, text));
  }
  return out;
}

int device_of(int rank, int size, int visible, const Variables& variables) {
  if (visible >= size) return rank;
  if (visible == 1) return 0;
  const std::optional<std::string> shown = variables("CUDA_VISIBLE_DEVICES");
  fail_config(
      "{} ranks on this host, but rank {} of them sees {} device{}{}: start at most as many ranks a host as "
      "there "
      "are devices, or let each rank see all of them, or one of its own (srun --gpus-per-task=1)",
      size, rank, visible, visible == 1 ? "" : "s",
      shown ? fmt::format(" (CUDA_VISIBLE_DEVICES is '{}')", *shown) : "");
}

LauncherPlace known_place() {
  try {
    return find_launcher(environment());
  } catch (const ConfigError&) {
    return {};
  }
}

}  // namespace trimtab
