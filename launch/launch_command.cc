// SPDX-License-Identifier: Apache-2.0
#include "launch/launch_command.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>

#include "launch/again.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool has_only(const std::string& text, std::string_view more) {
  return std::ranges::all_of(text, [&](char c) {
    return kLetters.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos;
  });
}

std::string words(const std::vector<std::string>& list) {
  std::vector<std::string> quoted;
  for (const std::string& word : list) quoted.push_back(shell_word(word));
  return fmt::format("{}", fmt::join(quoted, " "));
}

// Slurm's names go to the left of a line that it cuts into words by itself.
void check_name(const char* flag, const std::string& name) {
  if (!has_only(name, "._-@,:+"))
    fail_config("{}: '{}' has letters that Slurm's names do not have", flag, name);
}

void check_time(const std::string& time) {
  static const std::regex forms(R"((\d+-)?\d+(:\d+){0,2})");
  if (!std::regex_match(time, forms))
    fail_config("--time: '{}' is no time of Slurm's: minutes, hours:minutes:seconds or days-hours:minutes",
                time);
}

// Of what check_time() let pass: minutes[:seconds], hours:minutes:seconds or days-hours[:minutes[:seconds]].
// 0: no limit.
double seconds_of(const std::string& time) {
  const std::size_t dash = time.find('-');
  const bool has_days = dash != std::string::npos;
  std::vector<double> numbers;
  std::istringstream rest(has_days ? time.substr(dash + 1) : time);
  for (std::string number; std::getline(rest, number, ':');)
    numbers.push_back(std::strtod(number.c_str(), nullptr));
  if (!has_days && numbers.size() < 3) numbers.insert(numbers.begin(), 0.0);  // hours are left out
  numbers.resize(3);
  const double days = has_days ? std::strtod(time.c_str(), nullptr) : 0.0;
  return ((days * 24 + numbers[0]) * 60 + numbers[1]) * 60 + numbers[2];
}

void check_warning(const std::string& time, std::int64_t warning) {
  const double limit = seconds_of(time);
  if (limit > 0 && static_cast<double>(warning) >= limit)
    fail_config(
        "--warning: {} s before the limit of --time {} is before the job begins; give more time or "
        "a shorter --warning",
        warning, time);
}

void check_memory(const std::string& memory) {
  static const std::regex form(R"((\d+[KMGT]?)?)");
  if (!std::regex_match(memory, form))
    fail_config("--memory: '{}' is no memory of Slurm's: a whole number with K, M, G or T, as in 64G",
                memory);
}

void check_one_line(const char* flag, const std::string& text) {
  if (text.empty() || text.find_first_of("\r\n") != std::string::npos)
    fail_config("{}: '{}' is not one line; repeat {} for each", flag, text, flag);
}

void check_sbatch(const std::string& option) {
  check_one_line("--sbatch", option);
  if (!option.starts_with('-'))
    fail_config("--sbatch: '{}' is no option of sbatch; write --sbatch=--constraint=a100", option);
}

std::string job_name(const std::string& name) {
  std::string out;
  for (const char c : name) out += has_only(std::string(1, c), "._-") ? c : '_';
  return out.empty() ? "trimtab" : out;
}

std::string directives(const LaunchRequest& r) {
  std::string out;
  const auto add = [&](const std::string& option) { out += "#SBATCH --" + option + "\n"; };
  const auto add_if = [&](const char* option, const std::string& value) {
    if (!value.empty()) add(fmt::format("{}={}", option, value));
  };
  add("job-name=" + job_name(r.name));
  if (r.runs > 0) add(fmt::format("array=1-{}%{}", r.runs, r.at_once));
  add(fmt::format("nodes={}", r.nodes));
  add(fmt::format("ntasks={}", r.ranks()));
  add(fmt::format("ntasks-per-node={}", r.ranks_per_node));
  add(fmt::format("cpus-per-task={}", r.cores_per_rank));
  if (r.gpus_per_node > 0) add(fmt::format("gres=gpu:{}", r.gpus_per_node));
  add("time=" + r.time);
  add_if("mem", r.memory);
  add_if("partition", r.partition);
  add_if("account", r.account);
  add_if("qos", r.qos);
  add(fmt::format("signal=USR1@{}", r.warning));
  add(r.preempt ? "requeue" : "no-requeue");
  add(r.runs > 0 ? "output=%x-%A-%a.log" : "output=%x-%j.log");
  add("open-mode=append");
  for (const std::string& option : r.sbatch) out += "#SBATCH " + option + "\n";
  return out;
}

}  // namespace

std::string shell_word(const std::string& text) {
  if (!text.empty() && has_only(text, "_@%+=:,./-")) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

void take_hosts(LaunchRequest& request, const std::string& hosts) {
  std::vector<std::int64_t> ranks;
  std::set<std::string> names;
  for (std::size_t at = 0; at <= hosts.size();) {
    const std::size_t end = std::min(hosts.find(',', at), hosts.size());
    const std::string host = hosts.substr(at, end - at);
    at = end + 1;
    const std::size_t colon = host.find(':');
    const std::string name = host.substr(0, colon);
    std::int64_t count = 1;
    bool good = !name.empty() && has_only(name, "._-");
    if (good && colon != std::string::npos) {
      const char* last = host.data() + host.size();
      const auto [stop, error] = std::from_chars(host.data() + colon + 1, last, count);
      good = error == std::errc() && stop == last && count >= 1;
    }
    if (!good) fail_config("--hosts: '{}' is no host with its ranks; write a:4,b:4", host);
    if (!names.insert(name).second) fail_config("--hosts: {} is named twice; add its ranks up", name);
    ranks.push_back(count);
  }
  if (std::ranges::adjacent_find(ranks, std::ranges::not_equal_to()) != ranks.end())
    fail_config("--hosts: {}: give every host as many ranks as the others", hosts);
  request.hosts = hosts;
  request.nodes = static_cast<std::int64_t>(ranks.size());
  request.ranks_per_node = ranks.front();
}

void check_request(const LaunchRequest& r) {
  if (r.launcher != "slurm" && r.launcher != "mpirun")
    fail_config("--launcher: expected mpirun or slurm, found '{}'", r.launcher);
  for (const std::string& line : r.setup) check_one_line("--setup", line);
  if (r.launcher == "mpirun") {
    for (const auto& [flag, is_set] :
         {std::pair{"--partition", !r.partition.empty()}, std::pair{"--account", !r.account.empty()},
          std::pair{"--qos", !r.qos.empty()}, std::pair{"--memory", !r.memory.empty()},
          std::pair{"--sbatch", !r.sbatch.empty()}, std::pair{"--preempt", r.preempt}})
      if (is_set) fail_config("{}: is for --launcher slurm", flag);
    if (r.nodes > 1 && r.hosts.empty())
      fail_config("--nodes: mpirun needs their names: --hosts a:{0},b:{0}", r.ranks_per_node);
    return;
  }
  if (!r.hosts.empty()) fail_config("--hosts: is for --launcher mpirun; Slurm chooses the nodes");
  check_time(r.time);
  check_warning(r.time, r.warning);
  check_name("--partition", r.partition);
  check_name("--account", r.account);
  check_name("--qos", r.qos);
  check_memory(r.memory);
  for (const std::string& option : r.sbatch) check_sbatch(option);
}

std::string mpirun_command(const LaunchRequest& r) {
  std::vector<std::string> command = {"mpirun", "-n", std::to_string(r.ranks()), "--bind-to", "none"};
  // Open MPI would take eight minutes to end a job whose host does not answer.
  if (!r.hosts.empty())
    command.insert(command.end(), {"--host", r.hosts, "--mca", "oob_tcp_keepalive_time", "15", "--mca",
                                   "oob_tcp_keepalive_intvl", "5", "--mca", "oob_tcp_keepalive_probes", "3"});
  for (const auto& [name, value] : r.settings)
    command.insert(command.end(), {"-x", fmt::format("{}={}", name, value)});
  command.push_back(r.program);
  command.insert(command.end(), r.arguments.begin(), r.arguments.end());
  std::string out = fmt::format("cd {} && ", shell_word(r.folder));
  for (const std::string& line : r.setup) out += line + " &&\n";  // a comment may end it
  return out + words(command) + "\n";
}

std::string slurm_file(const LaunchRequest& r) {
  std::string out = "#!/usr/bin/env bash\n";
  out += directives(r);
  out += fmt::format("cd {} || exit\n", shell_word(r.folder));
  for (const std::string& line : r.setup) out += line + " || exit\n";
  // Behind the setup: modules and virtual environments use variables that are not set.
  out += "set -uo pipefail\n\n";
  const std::string command = fmt::format("{} {}{}", shell_word(r.program), words(r.arguments),
                                          r.runs > 0 ? " --run \"$SLURM_ARRAY_TASK_ID\"" : "");
  if (r.preempt) out += fmt::format("{}\nbegin_life {}\n", kAgain, command);
  out += "# The ranks are warned before the time limit, save and end with 75: the same command goes on.\n";
  out += fmt::format("{}srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task={} {}\n",
                     r.preempt ? "" : "exec ", r.cores_per_rank, command);
  if (r.preempt) out += "end_life $?\n";
  return out;
}

}  // namespace trimtab
