// SPDX-License-Identifier: Apache-2.0
#include "experiments/progress.h"

#include <fmt/format.h>

#include <cmath>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr const char* kEraseLine = "\r\x1b[K";

// Three significant digits between 0.01 and 999, whole numbers above.
std::string readable_rate(double rate) {
  const int decimals = rate >= 100.0 ? 0 : rate >= 10.0 ? 1 : 2;
  return fmt::format("{:.{}f}", rate, decimals);
}

}  // namespace

std::string readable_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60,
                     rest = whole % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, rest);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
  return fmt::format("{}:{:02}", minutes, rest);
}

Progress::Progress(ProgressOptions options, Clock clock, std::ostream& out)
    : options_(std::move(options)), clock_(std::move(clock)), out_(out) {
  TT_CHECK(options_.total >= 0 && options_.first >= 0, "progress from {} to {}", options_.first,
           options_.total);
  samples_.emplace_back(clock_(), options_.first);
}

void Progress::update(std::int64_t done, std::optional<double> loss) {
  const double now = clock_();
  // The newest sample that is old enough to be measured from stays, and all younger ones.
  while (samples_.size() > 1 && samples_[1].first <= now - options_.rate_seconds) samples_.pop_front();
  const bool last = done == options_.total;
  if (now < next_ && !last) return;
  samples_.emplace_back(now, done);
  next_ = now + (options_.terminal ? options_.redraw_seconds : options_.line_seconds);
  if (options_.terminal) {
    out_ << kEraseLine << line(done, loss).substr(0, options_.width) << std::flush;
    drawn_ = true;
  } else {
    out_ << line(done, loss) << '\n' << std::flush;
  }
}

void Progress::clear() {
  if (!drawn_) return;
  out_ << kEraseLine << std::flush;
  drawn_ = false;
  next_ = clock_();
}

void Progress::finish() {
  if (drawn_) out_ << '\n' << std::flush;
  drawn_ = false;
}

// Units a second, or 0 while not known.
double Progress::rate() const {
  const auto [start, before] = samples_.front();
  const auto [now, done] = samples_.back();
  return now > start && done > before ? static_cast<double>(done - before) / (now - start) : 0.0;
}

std::string Progress::line(std::int64_t done, std::optional<double> loss) const {
  const std::string total = fmt::format("{}", options_.total);
  const double share =
      options_.total > 0 ? static_cast<double>(done) / static_cast<double>(options_.total) : 1.0;
  // Rounded down: 100 % is said only of what is done.
  std::string text = fmt::format("{}   {:>{}}/{}   {:.1f} %", options_.label, done, total.size(), total,
                                 std::floor(share * 1000.0) / 10.0);
  if (const double speed = rate(); speed > 0.0) {
    text += fmt::format("   {} {}/s", readable_rate(speed), options_.unit);
    if (done < options_.total)
      text +=
          fmt::format("   {} left", readable_duration(static_cast<double>(options_.total - done) / speed));
  }
  if (loss) text += fmt::format("   loss {:.4g}", *loss);
  return text;
}

}  // namespace trimtab
