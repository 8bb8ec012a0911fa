// SPDX-License-Identifier: Apache-2.0
#include "experiments/stored_run.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "runtime/check.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using Kind = ConfigNode::Kind;
using Leaves = std::vector<std::pair<std::string, std::string>>;

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// "length=5" before "length=20": digits in a row count as one letter, by value.
bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto run = [](const std::string& text, std::size_t& at) {
        while (at < text.size() && text[at] == '0') ++at;
        const std::size_t begin = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return text.substr(begin, at - begin);
      };
      const std::string x = run(a, i), y = run(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

void add_leaves(const ConfigNode& node, const std::string& path, Leaves& out) {
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string key = path.empty() ? node.keys[i] : path + "." + node.keys[i];
    const ConfigNode& item = node.items[i];
    if (item.kind == Kind::kMap) {
      add_leaves(item, key, out);
    } else {
      out.emplace_back(key, item.kind == Kind::kScalar ? item.text : to_flow(item));
    }
  }
}

std::string text_at(const ConfigNode& config, std::string_view section, std::string_view key) {
  const ConfigNode* node = config.find(section);
  if (node != nullptr) node = node->find(key);
  return node == nullptr ? "" : node->text;
}

}  // namespace

std::string StoredRun::seed() const { return text_at(config, "train", "seed"); }
std::string StoredRun::dev_split() const { return text_at(config, "evaluate", "split"); }

std::optional<StoredRun> load_run(const std::string& folder) {
  const RunFolder files(folder);
  auto record = load_record(files.record());
  if (!record || !fs::exists(files.config())) return std::nullopt;
  return StoredRun{folder, std::move(*record), read_yaml_file(files.config())};
}

std::vector<StoredRun> find_runs(const std::vector<std::string>& folders) {
  std::vector<StoredRun> out;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(folder)) fail_config("{}: is no folder", folder);
    std::vector<std::string> found = {folder};
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_directory()) found.push_back(entry.path().string());
    std::ranges::sort(found, natural_less);
    const std::size_t before = out.size();
    for (const std::string& path : found)
      if (auto run = load_run(path)) out.push_back(std::move(*run));
    std::ranges::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), {},
                             [](const StoredRun& run) { return run.record.base_parameters; });
    if (out.size() == before)
      fail_config("{}: no run is in it: no folder with a record.json and a config.yaml", folder);
  }
  return out;
}

Leaves leaves_of(const ConfigNode& config) {
  Leaves out;
  add_leaves(config, "", out);
  return out;
}

Leaves labels_of(const ConfigNode& config) {
  Leaves out;
  const ConfigNode* labels = config.find("labels");
  if (labels == nullptr) return out;
  for (const ConfigNode& label : labels->items) {
    const std::size_t equals = label.text.find('=');
    if (equals != std::string::npos)
      out.emplace_back(label.text.substr(0, equals), label.text.substr(equals + 1));
  }
  return out;
}

}  // namespace trimtab
