// SPDX-License-Identifier: Apache-2.0
#include "experiments/plot.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

extern char** environ;

namespace trimtab {
namespace {

// In single quotes gnuplot has one special character, which is written twice.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::pair<double, double> x_range(const Plot& plot) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Curve& curve : plot.curves)
    for (const auto& [x, y] : curve.points) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  return low > high ? std::pair(0.0, 1.0) : std::pair(low, high);
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
  const auto block = [&](const std::string& name, const std::vector<std::pair<double, double>>& points) {
    if (!out.empty()) out += "\n\n";
    out += "# " + name + "\n";
    for (const auto& [x, y] : points) out += fmt::format("{} {}\n", x, y);
  };
  for (const Curve& curve : plot.curves)
    if (!curve.points.empty()) block(curve.name, curve.points);
  const auto [low, high] = x_range(plot);
  for (const auto& [name, y] : plot.levels) block(name, {{low, y}, {high, y}});
  return out;
}

std::string plot_script(const Plot& plot, const std::string& data, const std::string& png) {
  std::string out = fmt::format(
      "set terminal pngcairo noenhanced size 1000,620 font 'Sans,11'\n"
      "set output {}\nset title {}\nset xlabel {}\nset ylabel {}\n"
      "set grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\nset key outside right top\nset offsets 0, "
      "0, 0.5, 0.5\n",
      quoted(png), quoted(plot.title), quoted(plot.x_label), quoted(plot.y_label));
  std::string items;
  int block = 0;
  const auto add = [&](const std::string& name, const std::string& style) {
    items += fmt::format("{}{} index {} with {} title {}", items.empty() ? "plot " : ", \\\n     ",
                         quoted(data), block++, style, quoted(name));
  };
  int color = 1;
  for (const Curve& curve : plot.curves)
    if (!curve.points.empty()) add(curve.name, fmt::format("linespoints lw 2 pt 7 ps 0.6 lc {}", color++));
  for (const auto& level : plot.levels) add(level.first, fmt::format("lines dt 2 lw 2 lc {}", color++));
  return out + items + "\n";
}

bool draw(const Plot& plot, const std::string& path_without_ending, std::string& why) {
  const bool empty = plot.levels.empty() && std::ranges::all_of(plot.curves, [](const Curve& curve) {
                       return curve.points.empty();
                     });
  if (empty) {
    why = "there is nothing to draw";
    return false;
  }
  const std::string data = path_without_ending + ".dat", script = path_without_ending + ".gp";
  write_file_atomically(data, plot_data(plot));
  write_file_atomically(script, plot_script(plot, data, path_without_ending + ".png"));
  const int code = run_program("gnuplot", script);
  if (code == 127)
    why = fmt::format("gnuplot is not installed (apt-get install gnuplot-nox); then: gnuplot {}", script);
  else if (code != 0)
    why = fmt::format("gnuplot ended with code {}; try by hand: gnuplot {}", code, script);
  return code == 0;
}

}  // namespace trimtab
