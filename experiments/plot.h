// SPDX-License-Identifier: Apache-2.0
//
// Pictures of scores as PNG and SVG, drawn by gnuplot from a data file and a script that stay beside them, so
// that a picture can be redrawn by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trimtab {

struct PlotPoint {
  double x = 0, y = 0;
  double spread = 0;  // the band or bar goes from y - spread to y + spread
};

struct Curve {
  std::string name;
  std::vector<PlotPoint> points;  // in the order of x
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
  std::vector<std::pair<std::string, double>> levels;  // dashed horizontal lines across the picture
  // Of few points: marked on the x axis, spreads as bars rather than bands, logarithmic where they spread
  // over a factor of 8 or more.
  bool few_points = false;
  double lowest = 0, highest = 100;  // values that there can be; the y axis does not leave them
  bool log_y = false;                // by decades; spreads are bands that end above 0
};

// The gnuplot script that reads `data` and writes `pictures`.png and .svg.
std::string plot_script(const Plot& plot, const std::string& data, const std::string& pictures);
// The data file: one block a curve (x, y, lower and upper end of the spread), blocks divided by two blank
// lines; levels are blocks of two points.
std::string plot_data(const Plot& plot);

// Writes path_without_ending.{dat,gp,png,svg}. Returns false, with the reason in `why`, when gnuplot is not
// installed or fails: a picture is never worth losing a result for. Throws Error when the files cannot be
// written.
bool draw(const Plot& plot, const std::string& path_without_ending, std::string& why);

// The same for a script and data of other pictures.
bool draw_script(const std::string& script, const std::string& data, const std::string& path_without_ending,
                 std::string& why);
// What a path is without .png or .svg at its end. Throws ConfigError when it ends in neither.
std::string without_picture_ending(const std::string& path);
// A text as gnuplot reads it: in single quotes.
std::string quoted_for_gnuplot(const std::string& text);

}  // namespace trimtab
