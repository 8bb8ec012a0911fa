// SPDX-License-Identifier: Apache-2.0
//
// Line charts as PNG, drawn by gnuplot from a data file and a script that stay beside the picture, so that a
// picture can be redrawn by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trimtab {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // in the order of x
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
  std::vector<std::pair<std::string, double>> levels;  // dashed horizontal lines across the picture
};

// The gnuplot script that reads `data` and writes `png`.
std::string plot_script(const Plot& plot, const std::string& data, const std::string& png);
// The data file: one block a curve, blocks divided by two blank lines; levels are blocks of two points.
std::string plot_data(const Plot& plot);

// Writes path_without_ending.{dat,gp,png}. Returns false, with the reason in `why`, when gnuplot is not
// installed or fails: a picture is never worth losing a result for. Throws Error when the files cannot be
// written.
bool draw(const Plot& plot, const std::string& path_without_ending, std::string& why);

}  // namespace trimtab
