// SPDX-License-Identifier: Apache-2.0
#include "experiments/metrics_log.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("{}: cannot be read: {}", path, std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

void cut_unfinished_line(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return;
  const std::string text = read_all(path);
  const std::size_t end = text.rfind('\n');
  const std::size_t keep = end == std::string::npos ? 0 : end + 1;
  if (keep != text.size()) std::filesystem::resize_file(path, keep);
}

std::int64_t step_of(const std::string& line, const std::string& path, std::size_t number) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer())
    fail("{}:{}: not an object with an integer \"step\": repair or remove the line to resume this run", path,
         number);
  return object["step"].get<std::int64_t>();
}

}  // namespace

MetricsLog::MetricsLog(std::string path) : path_(std::move(path)) {
  cut_unfinished_line(path_);
  open();
}

void MetricsLog::open() {
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_) fail("{}: cannot be opened for appending: {}", path_, std::strerror(errno));
}

void MetricsLog::write(std::int64_t step, std::string_view kind, const nlohmann::ordered_json& values) {
  TT_CHECK(values.is_object(), "metrics of step {} are not an object", step);
  TT_CHECK(!values.contains("step") && !values.contains("kind"),
           "metrics of step {} hold the key step or kind", step);
  nlohmann::ordered_json line = {{"step", step}, {"kind", kind}};
  line.update(values);
  file_ << line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  file_.flush();
  if (!file_) fail("{}: writing step {} failed: {}", path_, step, std::strerror(errno));
}

void MetricsLog::truncate_after(std::int64_t step) {
  const std::string text = read_all(path_);
  std::string kept;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    if (step_of(line, path_, ++number) <= step) kept += line + '\n';
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  if (kept.size() == text.size()) return;
  file_.close();
  write_file_atomically(path_, kept);
  open();
}

}  // namespace trimtab
