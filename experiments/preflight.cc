// SPDX-License-Identifier: Apache-2.0
#include "experiments/preflight.h"

#include <fmt/ranges.h>
#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "experiments/core_share.h"
#include "experiments/folder_check.h"
#include "experiments/machine.h"
#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

constexpr double kMostSkew = 1.0;  // seconds
constexpr std::uint64_t kLittleDisk = std::uint64_t{1} << 30;
// What may differ between hosts of one cluster without harm.
constexpr std::array<std::string_view, 2> kMayDiffer = {"kernel", "glibc"};

std::string kernel() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "unknown";
}

void check_link(World& world, Communicator& link, at::Device device, RankFacts& facts) {
  if (const std::string wrong = wrong_values(link, device); !wrong.empty())
    facts.faults.push_back({"values on " + link.name(), wrong});
  world.all().barrier();  // an axis is measured while nothing else goes on
  facts.links.push_back({link.name(), link.members(), measured_speeds(link, device)});
  world.all().barrier();
}

void check_folder(World& world, const PreflightRequest& request, RankFacts& facts) {
  const FolderCheck found = check_shared_folder(world.all(), request.folder, request.mark);
  facts.free_disk = found.free_bytes;
  facts.write_seconds = found.write_seconds;
  if (!found.fault.empty()) facts.faults.push_back({"shared folder", found.fault});
  if (found.fault.empty() && found.free_bytes < kLittleDisk)
    facts.warnings.push_back(
        {"disk", fmt::format("{} has {} left", request.folder, readable_bytes(found.free_bytes))});
}

// The first rank of each host tells the time.
void ask_clocks(World& world, const std::vector<std::string>& hosts, RankFacts& facts) {
  std::set<std::string> asked = {hosts[0]};
  for (int rank = 1; rank < world.all().size(); ++rank) {
    if (!asked.insert(hosts[static_cast<std::size_t>(rank)]).second) continue;
    if (world.rank() != 0 && world.rank() != rank) continue;
    const ClockOffset offset = clock_offset(world.all(), rank);
    if (world.rank() == 0) facts.clocks.push_back({rank, offset});
  }
}

using Versions = std::map<std::string, std::vector<std::string>>;  // by what: that of each rank

Versions versions_of(const std::vector<RankFacts>& ranks) {
  Versions out;
  for (std::size_t i = 0; i < ranks.size(); ++i)
    for (const auto& [what, version] : ranks[i].versions) {
      auto& all = out[what];
      all.resize(ranks.size(), "none");
      all[i] = version;
    }
  return out;
}

void compare_versions(PreflightReport& report) {
  for (const auto& entry : versions_of(report.ranks)) {
    const std::string& what = entry.first;
    const std::vector<std::string>& all = entry.second;
    const auto other = std::ranges::find_if(all, [&](const auto& version) { return version != all[0]; });
    if (other == all.end()) continue;
    const auto rank = static_cast<std::size_t>(other - all.begin());
    std::vector<int> same;
    for (std::size_t i = rank; i < all.size(); ++i)
      if (all[i] == *other) same.push_back(static_cast<int>(i));
    const bool harmless = std::ranges::find(kMayDiffer, what) != kMayDiffer.end();
    (harmless ? report.warnings : report.faults)
        .push_back({static_cast<int>(rank),
                    report.ranks[rank].host,
                    {"versions", fmt::format("{} is {} on rank{} {}, but {} on rank 0{}", what, *other,
                                             same.size() == 1 ? "" : "s", fmt::join(same, ", "), all[0],
                                             harmless ? "" : "; install the same on every host")}});
  }
}

void find_shared_devices(PreflightReport& report) {
  std::map<std::pair<std::string, std::string>, int> owners;
  for (const RankFacts& rank : report.ranks) {
    if (rank.device_id.empty()) continue;
    const auto [owner, is_new] = owners.try_emplace({rank.host, rank.device_id}, rank.rank);
    if (is_new) continue;
    report.faults.push_back(
        {rank.rank,
         rank.host,
         {"device", fmt::format("computes on the same device as rank {} ({}): start at most as many ranks a "
                                "host as it has devices, and let each see all of them or one of its own",
                                owner->second, rank.device)}});
  }
}

// Ranks that the launcher of another MPI started do not find each other: each is a job by itself.
void find_foreign_launcher(PreflightReport& report) {
  const RankFacts& first = report.ranks[0];
  const auto ranks = static_cast<int>(report.ranks.size());
  if (first.launcher_size == 0 || first.launcher_size == ranks) return;
  const auto mpi = std::ranges::find(first.versions, "mpi", &std::pair<std::string, std::string>::first);
  const std::string library = mpi != first.versions.end() ? mpi->second : "MPI";
  report.faults.push_back(
      {0,
       first.host,
       {"launcher", fmt::format("{} says that it started {} rank{}, but {} knows of {}: start them with the "
                                "mpirun of {}, or with srun --mpi=pmix",
                                first.launcher, first.launcher_size, first.launcher_size == 1 ? "" : "s",
                                library, ranks, library)}});
}

// How much a finding matters for what comes after it.
int order_of(const RankFinding& found) {
  constexpr std::array<std::string_view, 4> kFirst = {"launcher", "device", "versions", "shared folder"};
  return static_cast<int>(std::ranges::find(kFirst, found.finding.check) - kFirst.begin());
}

AxisReport axis_report(const std::vector<RankFacts>& ranks, std::size_t link) {
  const LinkFacts& first = ranks[0].links[link];
  AxisReport out{first.name,
                 static_cast<int>(ranks.size() / first.members.size()),
                 static_cast<int>(first.members.size()),
                 {}};
  for (std::size_t i = 0; i < first.speeds.size(); ++i) {
    WorstSpeed worst{{first.speeds[i].bytes}};
    for (const RankFacts& rank : ranks) {
      const LinkSpeed& speed = rank.links[link].speeds[i];
      if (speed.exchange > worst.speed.exchange) {
        worst.speed.exchange = speed.exchange;
        worst.exchange_rank = rank.rank;
      }
      if (speed.all_reduce > worst.speed.all_reduce) {
        worst.speed.all_reduce = speed.all_reduce;
        worst.all_reduce_rank = rank.rank;
      }
    }
    out.speeds.push_back(worst);
  }
  return out;
}

void find_hosts(PreflightReport& report) {
  std::vector<std::set<int>> cores;
  for (std::size_t i = 0; i < report.ranks.size(); ++i) {
    const RankFacts& rank = report.ranks[i];
    auto host = std::ranges::find(report.hosts, rank.host, &HostReport::host);
    if (host == report.hosts.end()) {
      report.hosts.push_back({rank.host, {}, 1, 0, {}});
      cores.emplace_back();
      host = report.hosts.end() - 1;
    }
    host->ranks.push_back(i);
    host->threads += rank.threads;
    auto& all = cores[static_cast<std::size_t>(host - report.hosts.begin())];
    all.insert(rank.cores.begin(), rank.cores.end());
    host->cores = static_cast<int>(all.size());
    if (rank.host_cores > 0) host->cores = std::min(host->cores, rank.host_cores);
  }
}

void look_at_clocks(PreflightReport& report) {
  for (const ClockFacts& clock : report.ranks[0].clocks) {
    const RankFacts& rank = report.ranks[static_cast<std::size_t>(clock.rank)];
    std::ranges::find(report.hosts, rank.host, &HostReport::host)->clock = clock.offset;
    if (std::abs(clock.offset.seconds) - clock.offset.uncertainty < kMostSkew) continue;
    report.warnings.push_back(
        {clock.rank,
         rank.host,
         {"clock",
          fmt::format("is {:+.3f} s from that of {}: times in logs of the two do not compare; let both "
                      "follow a time server",
                      clock.offset.seconds, report.ranks[0].host)}});
  }
}

}  // namespace

void look_at_itself(RankFacts& facts) {
  facts.host = host_name();
  facts.process = ::getpid();
  facts.cores = usable_core_numbers();
  facts.memory = available_memory();
  facts.memory_limit = memory_limit();
  for (auto& version : versions()) facts.versions.push_back(std::move(version));
  facts.versions.emplace_back("program", sha256_file("/proc/self/exe").substr(0, 12));
  facts.versions.emplace_back("glibc", gnu_get_libc_version());
  facts.versions.emplace_back("kernel", kernel());
}

PreflightReport report_of(const Mesh& mesh, std::vector<RankFacts> ranks) {
  PreflightReport report;
  report.mesh = mesh;
  report.ranks = std::move(ranks);
  find_hosts(report);
  find_foreign_launcher(report);
  find_shared_devices(report);
  compare_versions(report);
  for (const RankFacts& rank : report.ranks) {
    for (const Finding& fault : rank.faults) report.faults.push_back({rank.rank, rank.host, fault});
    for (const Finding& warning : rank.warnings) report.warnings.push_back({rank.rank, rank.host, warning});
  }
  std::ranges::stable_sort(report.faults, {}, order_of);
  look_at_clocks(report);
  for (std::size_t link = 0; link < report.ranks[0].links.size(); ++link)
    report.axes.push_back(axis_report(report.ranks, link));
  return report;
}

PreflightReport preflight(World& world, const PreflightRequest& request) {
  RankFacts facts = request.here;
  facts.rank = world.rank();
  facts.here = world.here();
  const CoreShare share = share_cores(world.all(), request.hints.of_task);
  facts.owned_cores = share.cores;
  facts.host_cores = share.host_cores;
  facts.threads = choose_threads(request.threads, request.hints, share.cores).threads;
  const std::vector<std::string> hosts = gather_texts(world.all(), facts.host);
  const auto first_of_host = std::ranges::find(hosts, facts.host) - hosts.begin();
  if (const std::string warning = oversubscription_warning(share, facts.threads);
      !warning.empty() && first_of_host == world.rank())
    facts.warnings.push_back({"cores", warning});
  check_folder(world, request, facts);
  ask_clocks(world, hosts, facts);
  for (const Axis axis : kAxes) check_link(world, world.along(axis), request.device, facts);
  check_link(world, world.all(), at::kCPU, facts);

  std::vector<RankFacts> ranks;
  for (const std::string& text : gather_texts(world.all(), to_text(facts)))
    ranks.push_back(facts_from_text(text));
  PreflightReport report = report_of(world.mesh(), std::move(ranks));
  report.memory = request.device.is_cpu() ? "host" : "CUDA";
  report.folder = request.folder;
  return report;
}

}  // namespace trimtab
