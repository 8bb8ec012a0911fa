// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/preflight.h"
#include "experiments/text_table.h"
#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMicro = 1e-6, kMilli = 1e-3, kGiga = 1e9, kMega = 1e6;

// Three digits that count.
std::string seconds_text(double seconds) {
  if (seconds < kMilli) return fmt::format("{:.3g} us", seconds / kMicro);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds / kMilli);
  return fmt::format("{:.2f} s", seconds);
}

std::string rate_text(double bytes_per_second) {
  if (bytes_per_second < kGiga) return fmt::format("{:.0f} MB/s", bytes_per_second / kMega);
  return fmt::format("{:.1f} GB/s", bytes_per_second / kGiga);
}

// "0-3,8"
std::string ranges_text(const std::vector<int>& numbers) {
  std::string out;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    out += fmt::format("{}{}", out.empty() ? "" : ",", numbers[i]);
    if (end - i > 1) out += fmt::format("-{}", numbers[end - 1]);
    i = end;
  }
  return out;
}

std::string rank_table(const PreflightReport& report) {
  std::vector<Cells> lines = {
      {"rank", "host", "on host", "data", "pipe", "tensor", "may use cores", "owns", "threads", "device"}};
  for (const RankFacts& rank : report.ranks)
    lines.push_back({std::to_string(rank.rank), rank.host,
                     fmt::format("{} of {}", rank.local_rank, rank.local_size),
                     std::to_string(rank.here.data), std::to_string(rank.here.pipe),
                     std::to_string(rank.here.tensor), ranges_text(rank.cores),
                     std::to_string(rank.owned_cores), std::to_string(rank.threads), rank.device});
  return aligned_table(lines, 2, false);
}

std::string clock_text(const HostReport& host, bool is_first) {
  if (is_first) return "-";
  return fmt::format("{:+.3f} ms +- {:.3f}", host.clock.seconds / kMilli, host.clock.uncertainty / kMilli);
}

std::string host_table(const PreflightReport& report) {
  std::vector<Cells> lines = {
      {"host", "ranks", "cores", "threads", "memory free", "its limit", "disk free", "write 1 MiB", "clock"}};
  for (const HostReport& host : report.hosts) {
    const RankFacts& first = report.ranks[host.ranks.front()];
    double slowest = 0.0;
    for (const std::size_t rank : host.ranks) slowest = std::max(slowest, report.ranks[rank].write_seconds);
    lines.push_back({host.host, std::to_string(host.ranks.size()), std::to_string(host.cores),
                     std::to_string(host.threads), readable_bytes(first.memory),
                     first.memory_limit == 0 ? "none" : readable_bytes(first.memory_limit),
                     readable_bytes(first.free_disk), seconds_text(slowest),
                     clock_text(host, &host == &report.hosts.front())});
  }
  return aligned_table(lines, 1, false);
}

bool is_wrong(const PreflightReport& report, const std::string& axis) {
  return std::ranges::any_of(
      report.faults, [&](const RankFinding& fault) { return fault.finding.check == "values on " + axis; });
}

std::string size_text(const WorstSpeed& worst) {
  const std::int64_t kibi = worst.speed.bytes >> 10, mebi = kibi >> 10;
  return mebi > 0   ? fmt::format("{} MiB", mebi)
         : kibi > 0 ? fmt::format("{} KiB", kibi)
                    : fmt::format("{} B", worst.speed.bytes);
}

// Messages of every size, sums of the least and of the greatest.
std::string axis_table(const PreflightReport& report) {
  Cells head = {"axis", "groups", "ranks", "values"};
  const auto measured =
      std::ranges::find_if(report.axes, [](const AxisReport& axis) { return !axis.speeds.empty(); });
  if (measured != report.axes.end()) {
    for (const WorstSpeed& worst : measured->speeds) head.push_back(size_text(worst));
    head.push_back("each way");
    head.push_back("sum of " + size_text(measured->speeds.front()));
    head.push_back("sum of " + size_text(measured->speeds.back()));
    head.emplace_back("slowest");
  }
  std::vector<Cells> lines = {head};
  for (const AxisReport& axis : report.axes) {
    Cells line = {axis.name, std::to_string(axis.groups), std::to_string(axis.ranks),
                  is_wrong(report, axis.name) ? "WRONG" : "right"};
    for (const WorstSpeed& worst : axis.speeds) line.push_back(seconds_text(worst.speed.exchange));
    if (!axis.speeds.empty()) {
      const WorstSpeed& last = axis.speeds.back();
      line.push_back(rate_text(static_cast<double>(last.speed.bytes) / last.speed.exchange));
      line.push_back(seconds_text(axis.speeds.front().speed.all_reduce));
      line.push_back(seconds_text(last.speed.all_reduce));
      line.push_back(fmt::format("rank {}", last.exchange_rank));
    }
    line.resize(head.size(), "-");
    lines.push_back(line);
  }
  return aligned_table(lines, 1, false);
}

std::string versions_text(const PreflightReport& report) {
  std::vector<std::string> parts;
  for (const auto& [what, version] : report.ranks[0].versions)
    parts.push_back(fmt::format("{} {}", what, version));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string finding_text(const RankFinding& found) {
  return fmt::format("rank {} on {}: {}: {}", found.rank, found.host, found.finding.check,
                     found.finding.text);
}

std::string verdict(const PreflightReport& report) {
  std::string out;
  for (const RankFinding& warning : report.warnings) out += "warning: " + finding_text(warning) + "\n";
  if (report.faults.empty()) return out + "no fault\n";
  out += fmt::format("FIRST FAULT: {}\n", finding_text(report.faults.front()));
  for (std::size_t i = 1; i < report.faults.size(); ++i)
    out += fmt::format("also: {}\n", finding_text(report.faults[i]));
  return out;
}

Json findings_json(const std::vector<RankFinding>& findings) {
  Json out = Json::array();
  for (const RankFinding& found : findings)
    out.push_back({{"rank", found.rank},
                   {"host", found.host},
                   {"check", found.finding.check},
                   {"text", found.finding.text}});
  return out;
}

Json rank_json(const RankFacts& rank) {
  Json out = {{"rank", rank.rank},
              {"host", rank.host},
              {"process", rank.process},
              {"launcher", rank.launcher},
              {"local_rank", rank.local_rank},
              {"local_size", rank.local_size},
              {"data", rank.here.data},
              {"pipe", rank.here.pipe},
              {"tensor", rank.here.tensor},
              {"cores", rank.cores},
              {"owned_cores", rank.owned_cores},
              {"threads", rank.threads},
              {"device", rank.device},
              {"memory_bytes", rank.memory},
              {"memory_limit_bytes", rank.memory_limit},
              {"free_disk_bytes", rank.free_disk},
              {"write_seconds", rank.write_seconds}};
  for (const auto& [what, version] : rank.versions) out["versions"][what] = version;
  return out;
}

Json axis_json(const AxisReport& axis) {
  Json speeds = Json::array();
  for (const WorstSpeed& worst : axis.speeds)
    speeds.push_back({{"bytes", worst.speed.bytes},
                      {"exchange_seconds", worst.speed.exchange},
                      {"exchange_rank", worst.exchange_rank},
                      {"all_reduce_seconds", worst.speed.all_reduce},
                      {"all_reduce_rank", worst.all_reduce_rank}});
  return {{"axis", axis.name}, {"groups", axis.groups}, {"ranks", axis.ranks}, {"speeds", speeds}};
}

}  // namespace

std::string text_of(const PreflightReport& report) {
  const std::size_t ranks = report.ranks.size(), hosts = report.hosts.size();
  std::string out = fmt::format("{} rank{} on {} host{}: {}\n", ranks, ranks == 1 ? "" : "s", hosts,
                                hosts == 1 ? "" : "s", report.mesh.text());
  out += versions_text(report) + "\n\n";
  out += rank_table(report) + "\n";
  out += host_table(report);
  if (hosts > 1)
    out += fmt::format("clock: against that of {}, from the middle of a round trip\n", report.hosts[0].host);
  out += fmt::format("disk: of {}; write: until it lay on the device\n\n", report.folder);
  out += axis_table(report);
  if (ranks > 1)
    out += fmt::format(
        "medians of the slowest rank: so many bytes of {} memory to the next rank of the axis, while as many "
        "come from the\none before, all groups at once; sum: an all-reduce; 'all' moves host memory\n",
        report.memory);
  return out + "\n" + verdict(report);
}

std::string json_of(const PreflightReport& report) {
  Json out = {{"mesh",
               {{"data", report.mesh.size(Axis::kData)},
                {"pipe", report.mesh.size(Axis::kPipe)},
                {"tensor", report.mesh.size(Axis::kTensor)}}},
              {"memory", report.memory},
              {"folder", report.folder},
              {"faults", findings_json(report.faults)},
              {"warnings", findings_json(report.warnings)}};
  out["ranks"] = Json::array();
  for (const RankFacts& rank : report.ranks) out["ranks"].push_back(rank_json(rank));
  out["hosts"] = Json::array();
  for (const HostReport& host : report.hosts)
    out["hosts"].push_back({{"host", host.host},
                            {"ranks", host.ranks.size()},
                            {"cores", host.cores},
                            {"threads", host.threads},
                            {"clock_seconds", host.clock.seconds},
                            {"clock_uncertainty_seconds", host.clock.uncertainty}});
  out["axes"] = Json::array();
  for (const AxisReport& axis : report.axes) out["axes"].push_back(axis_json(axis));
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace trimtab
