// SPDX-License-Identifier: Apache-2.0
#include "experiments/run_report.h"

#include <chrono>

#include "experiments/machine.h"
#include "runtime/log.h"

namespace trimtab {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

ProgressOptions progress_options(const Console& console, const std::string& label, std::int64_t done,
                                 std::int64_t total) {
  ProgressOptions out;
  out.label = console.run.empty() ? label : console.run;
  out.first = done;
  out.total = total;
  out.terminal = console.terminal;
  out.line_seconds = console.line_seconds;
  return out;
}

}  // namespace

std::string score_line(const std::string& split, const SplitScores& scores, double seconds) {
  std::string metrics;
  for (const auto& [name, value] : scores.metrics)
    metrics += fmt::format("{}{} {:.2f}", metrics.empty() ? "" : ", ", name, value);
  return fmt::format("{}: {} ({} examples, {} invalid labels, {} cut inputs, {:.1f} s)", split, metrics,
                     scores.examples, scores.invalid, scores.cut_inputs, seconds);
}

nlohmann::ordered_json score_values(const SplitScores& scores, double seconds) {
  nlohmann::ordered_json out;
  for (const auto& [name, value] : scores.metrics) out[name] = value;
  out["score"] = scores.main_value();
  out["invalid_labels"] = scores.invalid;
  out["seconds"] = seconds;
  return out;
}

RunReport::RunReport(const RunFolder& folder, Console& console, const std::string& label, std::int64_t done,
                     std::int64_t total, bool speaks)
    : console_(console) {
  if (!speaks) return;
  output_.reset(
      new Output{MetricsLog(folder.metrics()),
                 TensorBoardWriter(folder.tensorboard(), host_name(), unix_seconds, done == 0 ? 0 : done + 1),
                 Progress(progress_options(console, label, done, total), steady_seconds, console.out)});
  // A run that starts anew says again what it was before training, too.
  output_->log.truncate_after(done == 0 ? -1 : done);
}

void RunReport::metrics(std::int64_t steps_made, const std::string& kind,
                        const nlohmann::ordered_json& values) {
  if (!output_) return;
  output_->log.write(steps_made, kind, values);
  for (const auto& [key, value] : values.items())
    if (value.is_number()) output_->board.add_scalar(kind + "/" + key, steps_made, value.get<double>());
  output_->board.flush();
}

void RunReport::progress(std::int64_t done, double loss) {
  if (output_) output_->progress.update(done, loss);
}

void RunReport::finish() {
  if (output_) output_->progress.finish();
}

void RunReport::say(const std::string& text) {
  const std::string line = (console_.run.empty() ? "" : console_.run + ": ") + text;
  TT_LOG(debug, "{}", line);  // for the log of each rank
  if (!output_) return;
  output_->progress.clear();
  console_.out << line << '\n' << std::flush;
}

}  // namespace trimtab
