// SPDX-License-Identifier: Apache-2.0
#include "experiments/run_status.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/experiment_config.h"
#include "experiments/progress.h"
#include "experiments/run_lock.h"
#include "experiments/run_record.h"
#include "runtime/check.h"
#include "runtime/config.h"
#include "runtime/watchdog.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLatest = 20;  // steps that the rate is taken from
constexpr std::size_t kDrawn = 400;  // points of a curve
// A rank says each second what it does, and file systems show writes late; the watchdog is as patient.
constexpr std::chrono::seconds kSilent{5};
constexpr int kAnyMesh = std::numeric_limits<int>::max();

double seconds_of(fs::file_time_type::duration time) { return std::chrono::duration<double>(time).count(); }

double age_of(const std::string& path) {
  std::error_code missing;
  const auto written = fs::last_write_time(path, missing);
  if (missing) return -1.0;
  return std::max(0.0, seconds_of(fs::file_time_type::clock::now() - written));
}

// A line that is being written, or is none of ours, says nothing yet.
void read_metrics(const RunFolder& folder, const std::string& dev_split, RunStatus& out) {
  std::ifstream file(folder.metrics());
  std::vector<double> seconds;
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object() || !row.contains("step") || !row.contains("kind")) continue;
    if (!row.at("step").is_number_integer() || !row.at("kind").is_string()) continue;
    const std::int64_t step = row.at("step");
    const std::string kind = row.at("kind");
    if (kind == "train") {
      out.step = step;
      if (row.contains("loss") && row.at("loss").is_number()) out.losses.emplace_back(step, row.at("loss"));
      if (row.contains("seconds") && row.at("seconds").is_number()) seconds.push_back(row.at("seconds"));
    } else if (kind == dev_split && row.contains("score") && row.at("score").is_number()) {
      out.scores.emplace_back(step, row.at("score"));
      if (step > 0 && (out.best_step < 0 || out.scores.back().second > out.best_score)) {
        out.best_step = step;
        out.best_score = out.scores.back().second;
      }
    }
  }
  if (seconds.size() > kLatest) seconds.erase(seconds.begin(), seconds.end() - kLatest);
  if (seconds.empty()) return;
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  out.seconds_a_step = *middle;
}

bool is_there(const std::string& path) {
  std::error_code unreadable;
  return fs::exists(path, unreadable);
}

// config.yaml is the last that a start writes; the lock and `ranks` are there from its beginning.
bool is_run(const RunFolder& folder) {
  return is_there(folder.config()) ||
         (is_there(folder.lock()) && (is_there(folder.ranks()) || !lock_holder(folder.path()).empty()));
}

std::string state_text(const RunFolder& folder, bool begun, RunStatus& out) {
  if (const std::string holder = lock_holder(folder.path()); !holder.empty()) {
    out.runs = true;
    return fmt::format("{} ({})", begun ? "running" : "starting", holder);
  }
  try {
    const auto record = load_record(folder.record());
    if (!record) return "gone before its first checkpoint: ranks/rank-0.log says how";
    return record->status == "running" ? "gone" : record->status;
  } catch (const Error& error) {
    return fmt::format("unknown: {}", error.what());
  }
}

struct RankFile {
  RankState state;
  fs::file_time_type written;
};

// Nothing if it does not tell of a rank. Its time is asked for after it was opened, which is when NFS asks.
std::optional<RankFile> read_rank(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return {};
  auto state = parse_rank_state(line);
  std::error_code gone;
  const auto written = fs::last_write_time(path, gone);
  if (!state || gone) return {};
  return RankFile{std::move(*state), written};
}

// By rank. Those of further ranks, and those that were not written since the lock was taken, are left over
// from an earlier process.
std::vector<RankFile> rank_files(const RunFolder& folder, int ranks) {
  std::error_code none, not_locked;
  const auto locked = fs::last_write_time(folder.lock(), not_locked);
  std::vector<RankFile> out;
  for (fs::directory_iterator it(folder.ranks(), none), end; !none && it != end; it.increment(none)) {
    if (it->path().extension() != ".txt") continue;
    auto file = read_rank(it->path());
    if (!file || file->state.rank >= ranks || file->written + kSilent < locked) continue;
    out.push_back(std::move(*file));
  }
  std::ranges::sort(out, {}, [](const RankFile& file) { return file.state.rank; });
  return out;
}

std::string rank_text(const RankState& state, fs::file_time_type::duration silence) {
  const std::string who = fmt::format("rank {} on {}", state.rank, state.host);
  if (state.doing == RankState::Doing::kEnded) return fmt::format("{}: ended in {}", who, state.place);
  const char* doing = state.doing == RankState::Doing::kWaiting ? "waiting" : "computing";
  if (silence > kSilent)
    return fmt::format("{}: no sign of life for {:.0f} s; last: {} in {}", who, seconds_of(silence), doing,
                       state.place);
  return fmt::format("{}: {} for {:.0f} s in {}", who, doing, state.seconds, state.place);
}

// The newest file says what time it is: this host's clock may be another than that of the files.
void read_ranks(const RunFolder& folder, int ranks, RunStatus& out) {
  const std::vector<RankFile> files = rank_files(folder, ranks);
  if (files.empty()) return;
  const auto newest = std::ranges::max(files, {}, &RankFile::written).written;
  out.ranks_age = std::max(0.0, seconds_of(fs::file_time_type::clock::now() - newest));
  for (const auto& [state, written] : files) out.ranks.push_back(rank_text(state, newest - written));
}

// What status needs to know of an experiment. Not read strictly: a run of another kind, such as pretraining,
// or of another version can be looked at as well.
ExperimentConfig settings_of(const std::string& path) {
  const ConfigNode config = read_yaml_file(path);
  ExperimentConfig out;
  const auto take = [&](const ConfigNode* section, std::string_view key, auto& value) {
    const ConfigNode* node = section == nullptr ? nullptr : section->find(key);
    std::string remedy;
    if (node != nullptr) (void)parse_scalar(*node, value, remedy);
  };
  take(&config, "name", out.name);
  take(config.find("train"), "steps", out.train.steps);
  take(config.find("evaluate"), "split", out.evaluate.split);
  for (const auto& [axis, ranks] : {std::pair("data", &out.mesh.data), std::pair("pipe", &out.mesh.pipe),
                                    std::pair("tensor", &out.mesh.tensor)})
    take(config.find("mesh"), axis, *ranks);
  return out;
}

std::string last_name(const std::string& path) {
  std::error_code gone;
  return fs::canonical(path, gone).filename();
}

RunStatus status_of_run(const std::string& path) {
  const RunFolder folder(path);
  const bool begun = is_there(folder.config());
  ExperimentConfig config;
  std::string unreadable;
  try {
    if (begun) config = settings_of(folder.config());
  } catch (const Error& error) {
    unreadable = error.what();
  }
  RunStatus out;
  out.folder = path;
  out.name = begun && unreadable.empty() ? config.name : last_name(path);
  out.steps = begun ? config.train.steps : 0;
  out.state = state_text(folder, begun, out);
  if (!unreadable.empty()) out.state = fmt::format("unknown: {}", unreadable);
  read_metrics(folder, config.evaluate.split, out);
  out.metrics_age = age_of(folder.metrics());
  out.checkpoint_age = age_of(folder.last());
  for (int number = 0; number < RunFolder::kJournals; ++number) {
    const double age = age_of(folder.journal(number));
    if (age >= 0 && (out.journal_age < 0 || age < out.journal_age)) out.journal_age = age;
  }
  if (out.runs) read_ranks(folder, begun ? mesh_of(config).size() : kAnyMesh, out);
  return out;
}

std::string age_text(double seconds) { return seconds < 0 ? "none" : readable_duration(seconds) + " ago"; }

std::string progress_text(const RunStatus& run) {
  if (run.steps == 0 && run.step == 0) return "no step yet";
  std::string out = fmt::format("step {} of {}", run.step, run.steps);
  if (run.runs && run.seconds_a_step > 0 && run.step < run.steps)
    out +=
        fmt::format(", {:.2f} s a step, {} left", run.seconds_a_step, readable_duration(run.seconds_left()));
  if (!run.losses.empty()) out += fmt::format(", loss {:.4g}", run.losses.back().second);
  if (run.best_step >= 0) out += fmt::format(", best score {:.2f} at step {}", run.best_score, run.best_step);
  return out;
}

std::string files_text(const RunStatus& run) {
  std::string out = fmt::format("checkpoint: {}", age_text(run.checkpoint_age));
  if (run.journal_age >= 0) out += fmt::format(", journal: {}", age_text(run.journal_age));
  out += fmt::format(", last line of the log: {}", age_text(run.metrics_age));
  if (run.ranks_age >= 0) out += fmt::format(", last sign of a rank: {}", age_text(run.ranks_age));
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

// A curve in a box of 420 x 160, with its least and greatest value.
std::string curve(const std::string& title, const std::vector<std::pair<std::int64_t, double>>& points,
                  std::int64_t steps) {
  if (points.empty()) return "";
  double low = points.front().second, high = low;
  for (const auto& [step, value] : points) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const double span = high > low ? high - low : 1.0;
  const std::size_t every = std::max<std::size_t>(1, points.size() / kDrawn);
  std::string line;
  const auto draw = [&](std::size_t i) {
    const double x =
        420.0 * static_cast<double>(points[i].first) / static_cast<double>(std::max<std::int64_t>(1, steps));
    line += fmt::format("{:.1f},{:.1f} ", x, 155.0 - 150.0 * (points[i].second - low) / span);
  };
  for (std::size_t i = 0; i + 1 < points.size(); i += every) draw(i);
  draw(points.size() - 1);
  return fmt::format(
      "<figure><figcaption>{}: {:.4g} (from {:.4g} to {:.4g})</figcaption><svg viewBox=\"0 0 420 160\" "
      "width=\"420\" height=\"160\"><rect width=\"420\" height=\"160\" class=\"box\"/><polyline "
      "points=\"{}\"/>"
      "</svg></figure>\n",
      escaped(title), points.back().second, low, high, line);
}

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em;max-width:60em}"
    "section{border-top:1px solid #ccc;margin-top:1em}figure{display:inline-block;margin:0 1em 0 0}"
    "figcaption{font-size:13px;color:#555}svg .box{fill:#f6f6f6}polyline{fill:none;stroke:#0b62a4;"
    "stroke-width:1.5}progress{width:20em}pre{font-size:12px;background:#f6f6f6;padding:.6em;overflow:auto}";

}  // namespace

std::vector<RunStatus> status_of(const std::string& folder) {
  std::vector<RunStatus> out;
  if (is_run(RunFolder(folder))) return {status_of_run(folder)};
  std::error_code unreadable, not_there;
  for (fs::recursive_directory_iterator it(folder, unreadable), end; !unreadable && it != end;
       it.increment(unreadable))
    if (fs::is_directory(it->symlink_status(not_there)) && is_run(RunFolder(it->path())))
      out.push_back(status_of_run(it->path().string()));
  if (out.empty())
    fail_config("{}: there is no run in it (a run's folder holds config.yaml, and `lock` while it starts)",
                folder);
  std::ranges::sort(out, {}, &RunStatus::folder);
  return out;
}

std::string status_text(const std::vector<RunStatus>& runs) {
  std::string out;
  std::size_t width = 0;
  for (const RunStatus& run : runs) width = std::max(width, run.folder.size());
  for (const RunStatus& run : runs) {
    if (runs.size() > 1) {
      out += fmt::format("{:<{}}  {}; {}\n", run.folder, width, run.state, progress_text(run));
      continue;
    }
    out += fmt::format("{}: {}\n{}\n{}\n", run.name, run.state, progress_text(run), files_text(run));
    for (const std::string& rank : run.ranks) out += rank + '\n';
  }
  return out;
}

std::string status_page(const std::string& title, const std::vector<RunStatus>& runs, bool is_written_again) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta "
      "charset=\"utf-8\"><title>{}</title>{}<style>{}</style></head>"
      "<body>\n<h1>{}</h1>\n",
      escaped(title), is_written_again ? "<meta http-equiv=\"refresh\" content=\"10\">" : "", kStyle,
      escaped(title));
  for (const RunStatus& run : runs) {
    out += fmt::format(
        "<section><h2>{}</h2><p>{}</p><p><b>{}</b> <progress max=\"{}\" "
        "value=\"{}\"></progress><br>{}<br>{}</p>\n",
        escaped(run.name), escaped(run.folder), escaped(run.state), run.steps, run.step,
        escaped(progress_text(run)), escaped(files_text(run)));
    out += curve("loss", run.losses, run.steps) + curve("score", run.scores, run.steps);
    if (!run.ranks.empty()) {
      out += "<pre>";
      for (const std::string& rank : run.ranks) out += escaped(rank) + '\n';
      out += "</pre>";
    }
    out += "</section>\n";
  }
  return out + "</body></html>\n";
}

}  // namespace trimtab
