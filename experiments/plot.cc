// SPDX-License-Identifier: Apache-2.0
#include "experiments/plot.h"

#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

extern char** environ;

namespace trimtab {
namespace {

std::string quoted(const std::string& text) { return quoted_for_gnuplot(text); }

// "1", "0.3", "77 M", "2.85 B": as few digits as tell sizes apart.
std::string short_number(double value) {
  constexpr double kGiga = 1e9, kMega = 1e6;
  if (value >= kGiga) return fmt::format("{:.3g} B", value / kGiga);
  if (value >= kMega) return fmt::format("{:.3g} M", value / kMega);
  return fmt::format("{:.6g}", value);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

Range x_range(const Plot& plot) {
  Range out;
  for (const Curve& curve : plot.curves)
    for (const PlotPoint& point : curve.points) out.include(point.x);
  if (out.empty()) return {0, 1};
  return out;
}

bool is_log(const Plot& plot, const Range& x) {
  constexpr double kWide = 8;
  return plot.few_points && x.low > 0 && x.high >= kWide * x.low;
}

// With room around few points, so that the outermost are not cut.
Range shown_x(const Plot& plot) {
  const Range x = x_range(plot);
  constexpr double kLogRoom = 1.25, kRoom = 0.05;
  if (x.low == x.high) return {x.low - 1, x.high + 1};
  if (!plot.few_points) return x;
  if (is_log(plot, x)) return {x.low / kLogRoom, x.high * kLogRoom};
  const double room = kRoom * (x.high - x.low);
  return {x.low - room, x.high + room};
}

std::string x_axis(const Plot& plot) {
  const Range shown = shown_x(plot);
  std::string out = fmt::format("set xrange [{}:{}]\n", shown.low, shown.high);
  if (!plot.few_points) return out;
  if (is_log(plot, x_range(plot))) out += "set logscale x\n";
  std::set<double> values;
  for (const Curve& curve : plot.curves)
    for (const PlotPoint& point : curve.points) values.insert(point.x);
  std::string tics;
  for (const double value : values)
    tics += fmt::format("{}{} {}", tics.empty() ? "" : ", ", quoted(short_number(value)), value);
  return out + fmt::format("set xtics ({})\n", tics);
}

// Where a band ends at or below 0, a decade under its middle.
double lower_end(const Plot& plot, const PlotPoint& point) {
  constexpr double kDecade = 10;
  const double low = point.y - point.spread;
  return plot.log_y && low <= 0 ? point.y / kDecade : low;
}

// Whole decades around the data, each marked with its number.
std::string log_y_axis(const Plot& plot) {
  Range y;
  for (const Curve& curve : plot.curves)
    for (const PlotPoint& point : curve.points) {
      y.include(lower_end(plot, point));
      y.include(point.y + point.spread);
    }
  for (const auto& level : plot.levels) y.include(level.second);
  TT_CHECK(y.low > 0, "a logarithmic axis has no place for {}", y.low);
  constexpr double kTolerance = 1e-9;
  const int first = static_cast<int>(std::floor(std::log10(y.low) + kTolerance));
  const int last = static_cast<int>(std::ceil(std::log10(y.high) - kTolerance));
  std::string tics;
  for (int decade = first; decade <= last; ++decade)
    tics += fmt::format("{}'{:.{}f}' 1e{}", tics.empty() ? "" : ", ", std::pow(10.0, decade),
                        std::max(0, -decade), decade);
  return fmt::format("set logscale y\nset yrange [1e{}:1e{}]\nset ytics ({})\n", first,
                     std::max(last, first + 1), tics);
}

// All of the data with a little room, and nothing that no score can be.
std::string y_axis(const Plot& plot) {
  if (plot.log_y) return log_y_axis(plot);
  Range y;
  for (const Curve& curve : plot.curves)
    for (const PlotPoint& point : curve.points) {
      y.include(point.y - point.spread);
      y.include(point.y + point.spread);
    }
  for (const auto& level : plot.levels) y.include(level.second);
  constexpr double kRoom = 0.06, kLeast = 1;
  const double room = std::max(kRoom * (y.high - y.low), kLeast);
  return fmt::format("set yrange [{:.4g}:{:.4g}]\n", std::max(y.low - room, plot.lowest),
                     std::min(y.high + room, plot.highest));
}

bool has_spread(const Curve& curve) {
  return std::ranges::any_of(curve.points, [](const PlotPoint& point) { return point.spread > 0; });
}

// Colours that the colour-blind tell apart (Okabe and Ito 2008); black for what comes after them.
std::string color(std::size_t i) {
  constexpr std::array<const char*, 7> kColors = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                  "#E69F00", "#56B4E9", "#8C5E3C"};
  return fmt::format("lc rgb '{}'", i < kColors.size() ? kColors[i] : i % 2 == 0 ? "#000000" : "#777777");
}

// Bands first, so that no line is covered.
std::string plot_command(const Plot& plot, const std::string& data) {
  std::vector<std::string> bands, lines;
  std::size_t block = 0;
  for (const Curve& curve : plot.curves) {
    if (curve.points.empty()) continue;
    const std::string source = fmt::format("{} index {}", quoted(data), block);
    const std::string paint = color(block);
    constexpr std::size_t kMarked = 20;  // more points than that are a line
    const std::string point =
        fmt::format("lw 2 pt {} ps {}", 4 + 2 * (block % 5) + 1, curve.points.size() > kMarked ? 0 : 0.9);
    if (has_spread(curve) && plot.few_points && !plot.log_y)
      bands.push_back(fmt::format("{} using 1:2:3:4 with yerrorbars {} lw 1.5 pt 0 notitle", source, paint));
    else if (has_spread(curve))
      bands.push_back(fmt::format(
          "{} using 1:3:4 with filledcurves {} fs transparent solid 0.18 noborder notitle", source, paint));
    lines.push_back(fmt::format("{} using 1:2 with linespoints {} {} title {}", source, paint, point,
                                quoted(curve.name)));
    ++block;
  }
  for (const auto& level : plot.levels) {
    lines.push_back(fmt::format("{} index {} using 1:2 with lines dt {} lw 2 {} title {}", quoted(data),
                                block, 2 + block % 3, color(block), quoted(level.first)));
    ++block;
  }
  bands.insert(bands.end(), lines.begin(), lines.end());
  return fmt::format("plot {}\n", fmt::join(bands, ", \\\n     "));
}

// Runs a program found in PATH and waits. 127: it is not there.
int run_program(const std::string& program, const std::string& argument) {
  std::string name = program, value = argument;
  char* arguments[] = {name.data(), value.data(), nullptr};
  pid_t child = 0;
  if (posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0) return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

std::string plot_data(const Plot& plot) {
  std::string out;
  const auto begin = [&](const std::string& name) { out += (out.empty() ? "# " : "\n\n# ") + name + "\n"; };
  for (const Curve& curve : plot.curves) {
    if (curve.points.empty()) continue;
    begin(curve.name);
    for (const PlotPoint& p : curve.points)
      out += fmt::format("{} {} {} {}\n", p.x, p.y, lower_end(plot, p), p.y + p.spread);
  }
  const Range x = shown_x(plot);
  for (const auto& [name, y] : plot.levels) {
    begin(name);
    out += fmt::format("{} {}\n{} {}\n", x.low, y, x.high, y);
  }
  return out;
}

std::string plot_script(const Plot& plot, const std::string& data, const std::string& pictures) {
  return fmt::format(
             "set encoding utf8\nset title {}\nset xlabel {}\nset ylabel {}\n"
             "set grid lt 1 lw 1 lc rgb '#e6e6e6'\nset border 3 lc rgb '#444444'\nset tics nomirror\n"
             "set key outside right top Left reverse samplen 3\n",
             quoted(plot.title), quoted(plot.x_label), quoted(plot.y_label)) +
         x_axis(plot) + y_axis(plot) +
         fmt::format("set terminal pngcairo noenhanced size 1000,560 font 'Sans,11'\nset output {}\n",
                     quoted(pictures + ".png")) +
         plot_command(plot, data) +
         fmt::format(
             "set terminal svg noenhanced size 1000,560 font 'Sans,14' background rgb 'white'\n"
             "set output {}\nreplot\n",
             quoted(pictures + ".svg"));
}

bool draw(const Plot& plot, const std::string& path_without_ending, std::string& why) {
  const bool empty = plot.levels.empty() && std::ranges::all_of(plot.curves, [](const Curve& curve) {
                       return curve.points.empty();
                     });
  if (empty) {
    why = "there is nothing to draw";
    return false;
  }
  return draw_script(plot_script(plot, path_without_ending + ".dat", path_without_ending), plot_data(plot),
                     path_without_ending, why);
}

bool draw_script(const std::string& script_text, const std::string& data,
                 const std::string& path_without_ending, std::string& why) {
  const std::string script = path_without_ending + ".gp";
  write_file_atomically(path_without_ending + ".dat", data);
  write_file_atomically(script, script_text);
  const int code = run_program("gnuplot", script);
  if (code == 127)
    why = fmt::format("gnuplot is not installed (apt-get install gnuplot-nox); then: gnuplot {}", script);
  else if (code != 0)
    why = fmt::format("gnuplot ended with code {}; try by hand: gnuplot {}", code, script);
  return code == 0;
}

std::string without_picture_ending(const std::string& path) {
  constexpr std::string_view kEndings[] = {".png", ".svg"};
  for (const std::string_view ending : kEndings)
    if (path.size() > ending.size() && path.ends_with(ending))
      return path.substr(0, path.size() - ending.size());
  fail_config("--picture: {} ends neither in .png nor in .svg", path);
}

// In single quotes gnuplot has one special character, which is written twice.
std::string quoted_for_gnuplot(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

}  // namespace trimtab
