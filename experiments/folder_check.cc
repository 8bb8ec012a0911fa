// SPDX-License-Identifier: Apache-2.0
#include "experiments/folder_check.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBytes = 1 << 20;
constexpr const char* kShare = "put the run folder on a file system that all hosts share, under one path";

std::string file_of(const std::string& place, int rank) { return fmt::format("{}/rank-{}", place, rank); }

// "" or why this rank cannot write.
std::string write_own(const std::string& place, const std::string& mark, int rank, double& seconds) {
  constexpr const char* kOther = "name a folder that every rank may write to, with --folder";
  std::error_code why;
  std::filesystem::create_directories(place, why);
  if (why) return fmt::format("{}: cannot create the folder: {}; {}", place, why.message(), kOther);
  try {
    std::string text = fmt::format("{} {}\n", mark, rank);
    text.resize(kBytes, '.');
    const auto begin = Clock::now();
    write_file_atomically(file_of(place, rank), text);
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return "";
  } catch (const Error& error) {
    return fmt::format("{}; {}", error.what(), kOther);
  }
}

// "" or why it cannot be written.
std::string write_mark(const std::filesystem::path& file) {
  try {
    std::filesystem::create_directories(file.parent_path());
    write_file_atomically(file, file.filename().string());
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

bool appears(const std::filesystem::path& file, std::chrono::milliseconds patience) {
  const auto end = Clock::now() + patience;
  std::error_code cannot_be_seen;
  while (!std::filesystem::exists(file, cannot_be_seen)) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

bool shows(const std::string& place, const std::string& mark, int rank) {
  std::ifstream file(file_of(place, rank));
  std::string found_mark;
  int found_rank = -1;
  return file >> found_mark >> found_rank && found_mark == mark && found_rank == rank;
}

// Those of `ranks` whose files do not appear in time.
std::vector<int> unseen(const std::string& place, const std::string& mark, std::vector<int> ranks,
                        Clock::time_point end) {
  for (;;) {
    std::erase_if(ranks, [&](int rank) { return shows(place, mark, rank); });
    if (ranks.empty() || Clock::now() >= end) return ranks;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

FolderCheck check_shared_folder(Communicator& all, const std::string& folder, const std::string& mark,
                                std::chrono::milliseconds patience) {
  FolderCheck out;
  const std::string place = folder + "/" + mark;
  out.fault = write_own(place, mark, all.rank(), out.write_seconds);
  const std::vector<std::string> faults = gather_texts(all, out.fault);
  std::vector<int> wanted;
  for (int rank = 0; rank < all.size(); ++rank) {
    const bool looks = all.rank() == 0 || rank == 0;
    if (looks && faults[static_cast<std::size_t>(rank)].empty()) wanted.push_back(rank);
  }
  const std::vector<int> missing = unseen(place, mark, wanted, Clock::now() + patience);
  if (out.fault.empty() && !missing.empty())
    out.fault = fmt::format("{}: what rank{} {} wrote there is not seen here; {}",
                            std::filesystem::absolute(folder).string(), missing.size() == 1 ? "" : "s",
                            fmt::join(missing, ", "), kShare);
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (!error) out.free_bytes = space.available;
  all.barrier();  // nobody removes what another one still looks for
  return out;
}

void require_shared_folder(Communicator& all, const std::string& folder, std::chrono::milliseconds patience) {
  if (all.size() == 1) return;
  // A name that was never asked for, since file systems of networks remember for a while what was not there.
  const std::string mark = text_of_rank(
      all, fmt::format(".seen-by-all-{}-{}", ::getpid(), Clock::now().time_since_epoch().count()));
  const std::filesystem::path file = std::filesystem::path(folder) / mark;
  const std::string fault = text_of_rank(all, all.rank() == 0 ? write_mark(file) : "");
  if (!fault.empty()) fail("{}", fault);
  const std::vector<std::string> seen = gather_texts(all, appears(file, patience) ? "yes" : "no");
  std::error_code stays_at_worst;
  if (all.rank() == 0) std::filesystem::remove(file, stays_at_worst);
  std::vector<int> blind;
  for (int rank = 0; rank < all.size(); ++rank)
    if (seen[static_cast<std::size_t>(rank)] == "no") blind.push_back(rank);
  if (!blind.empty())
    fail_config("output: {}: what rank 0 writes there is not seen by rank{} {}; {}",
                std::filesystem::absolute(folder).string(), blind.size() == 1 ? "" : "s",
                fmt::join(blind, ", "), kShare);
}

}  // namespace trimtab
