// SPDX-License-Identifier: Apache-2.0
#include "data/data_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "data/zip_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

// `path` and the suite's folder in it.
std::vector<std::string> places_of(const std::string& path, const Published& published) {
  std::vector<std::string> places{path};
  if (!published.suite.empty()) places.push_back(path + "/" + published.suite);
  return places;
}

std::vector<std::string> folders_of(const std::string& place, const Published& published) {
  std::vector<std::string> folders{place};
  if (!published.folder.empty()) folders.push_back(place + "/" + published.folder);
  return folders;
}

std::vector<std::string> archives_of(const std::string& place, const Published& published) {
  std::vector<std::string> archives{place};
  if (!published.folder.empty()) archives.push_back(fmt::format("{}/{}.zip", place, published.folder));
  const std::string named = place + "/" + published.address.substr(published.address.rfind('/') + 1);
  if (named.ends_with(".zip") && named != archives.back()) archives.push_back(named);
  archives.push_back(place + "/combined.zip");
  return archives;
}

// The data set's own folder comes first: an archive of several sets has a train.jsonl for each.
std::optional<TextFile> from_archive(const std::string& archive, const std::string& folder,
                                     const std::string& name) {
  const std::string bytes = read_bytes(archive);
  if (!is_zip(bytes)) return std::nullopt;
  if (!folder.empty()) {
    const std::string inside = folder + "/" + name;
    auto found = unzip_member(archive, bytes, [&](std::string_view member) {
      return member == inside || member.ends_with("/" + inside);
    });
    if (found) return found;
  }
  return unzip_member(archive, bytes, [&](std::string_view member) { return member == name; });
}

}  // namespace

TextFile find_data_file(const std::string& who, const std::string& path, const Published& published,
                        const std::vector<std::string>& names) {
  std::vector<std::string> looked;
  for (const std::string& name : names)
    for (const std::string& place : places_of(path, published)) {
      for (const std::string& folder : folders_of(place, published)) {
        looked.push_back(folder + "/" + name);
        for (const char* packed : {"", ".gz"})
          if (is_file(looked.back() + packed)) return read_text(looked.back() + packed);
      }
      for (const std::string& archive : archives_of(place, published)) {
        if (!is_file(archive)) continue;
        if (auto found = from_archive(archive, published.folder, name)) return *std::move(found);
        looked.push_back(archive + ":" + name);
      }
    }
  throw MissingData(
      fmt::format("{}: {} is not there (looked for {}, also as .gz, and in zip files); it is published at {}",
                  who, fmt::join(names, " or "), fmt::join(looked, ", "), published.address));
}

}  // namespace trimtab
