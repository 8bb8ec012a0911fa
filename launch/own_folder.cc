// SPDX-License-Identifier: Apache-2.0
#include "launch/own_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "experiments/machine.h"
#include "launch/launcher.h"

namespace trimtab {
namespace {

// Jobs of launchers that do not name them share one name, at the worst.
std::string job_here() {
  if (known_place().size == 1) return fmt::format("{}-{}", host_name(), ::getpid());
  const std::string name = job_name(environment());
  return name.empty() ? "job" : name;
}

// Of a folder and those above it the ones that are not there.
std::vector<std::string> absent_of(std::filesystem::path folder) {
  std::vector<std::string> out;
  std::error_code unknown;
  for (; !folder.empty() && !std::filesystem::exists(folder, unknown); folder = folder.parent_path())
    out.push_back(folder.string());
  return out;
}

}  // namespace

OwnFolder::OwnFolder(std::string parent, const std::string& verb, AfterFailure after_failure)
    : parent_(std::move(parent)),
      absent_(absent_of(parent_)),
      name_(verb + "-" + job_here()),
      after_failure_(after_failure),
      exceptions_(std::uncaught_exceptions()) {}

OwnFolder::~OwnFolder() {
  if (after_failure_ == AfterFailure::kStays && std::uncaught_exceptions() > exceptions_) return;
  std::error_code gone_already;
  std::filesystem::remove_all(path(), gone_already);
  for (const std::string& folder : absent_) std::filesystem::remove(folder, gone_already);  // if it is empty
}

}  // namespace trimtab
