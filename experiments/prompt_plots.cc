// SPDX-License-Identifier: Apache-2.0
#include "experiments/prompt_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "experiments/plot.h"

namespace trimtab {
namespace {

// Both formats: what is drawn stands in `panels` panels above or beside each other.
std::string for_both(const std::string& pictures, int width, int height, const std::string& layout,
                     const std::string& body) {
  const std::string size = fmt::format("size {},{}", width, height);
  const std::string quoted_png = quoted_for_gnuplot(pictures + ".png");
  const std::string quoted_svg = quoted_for_gnuplot(pictures + ".svg");
  return fmt::format(
      "set encoding utf8\n"
      "set terminal pngcairo noenhanced {0} font 'Sans,11'\nset output {1}\n"
      "set multiplot layout {3}\n{4}unset multiplot\n"
      "set terminal svg noenhanced {0} font 'Sans,14' background rgb 'white'\nset output {2}\n"
      "set multiplot layout {3}\n{4}unset multiplot\nunset output\n",
      size, quoted_png, quoted_svg, layout, body);
}

// Columns: row, norm, cosine with the nearest piece.
PromptPicture picture_of_rows(const Inspections& all, const std::string& pictures) {
  const PromptInspection& one = all.prompts.front();
  const bool near = !one.nearest.empty();
  PromptPicture out;
  out.data = near ? "# row norm cosine\n" : "# row norm\n";
  for (std::size_t row = 0; row < one.norms.rows.size(); ++row) {
    out.data += fmt::format("{} {}", row, one.norms.rows[row]);
    if (near) out.data += fmt::format(" {}", one.nearest[row].front().cosine);
    out.data += "\n";
  }
  const std::string data = quoted_for_gnuplot(pictures + ".dat");
  const auto panel = [&](const char* title, int column, const char* range, const char* paint) {
    return fmt::format(
        "set ylabel {}\nset yrange {}\nplot {} using 1:{} with boxes lc rgb '{}' fs solid 0.8 noborder "
        "notitle\n",
        quoted_for_gnuplot(title), range, data, column, paint);
  };
  std::string body = fmt::format(
      "set border 3 lc rgb '#444444'\nset tics nomirror\nset grid y lt 1 lw 1 lc rgb '#e6e6e6'\n"
      "set boxwidth 0.8\nset xrange [-0.7:{:.1f}]\nset lmargin 10\nset title {}\n",
      static_cast<double>(one.norms.rows.size()) - 0.3, quoted_for_gnuplot(one.file));
  if (!near) body += "set xlabel 'row'\n";
  body += panel("norm", 2, "[0:*]", "#0072B2");
  if (near) {
    body += "unset title\nset xlabel 'row'\n";
    body += panel("cosine with the nearest piece", 3, "[0:1]", "#D55E00");
  }
  out.script = for_both(pictures, 1000, near ? 640 : 400, near ? "2,1" : "1,1", body);
  return out;
}

// Two blocks, the averaged prompts and the best matches: a line a prompt, its cosines with all.
PromptPicture picture_of_likeness(const Inspections& all, const std::string& pictures) {
  PromptPicture out;
  const auto block = [&](const char* name, double PromptLikeness::*value) {
    out.data += fmt::format("{}# {}\n", out.data.empty() ? "" : "\n\n", name);
    for (const auto& row : all.likeness) {
      for (std::size_t i = 0; i < row.size(); ++i)
        out.data += fmt::format("{}{:.6f}", i == 0 ? "" : " ", row[i].*value);
      out.data += "\n";
    }
  };
  block("averaged", &PromptLikeness::averaged);
  block("best match", &PromptLikeness::best_match);
  std::string tics;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < all.names.size(); ++i) {
    tics += fmt::format("{}{} {}", i == 0 ? "" : ", ", quoted_for_gnuplot(all.names[i]), i);
    longest = std::max(longest, all.names[i].size());
  }
  constexpr std::size_t kMostNumbers = 16;  // more do not fit into their fields
  const std::string data = quoted_for_gnuplot(pictures + ".dat");
  const auto panel = [&](const char* title, int index) {
    std::string text = fmt::format("set title {}\nplot {} index {} matrix with image notitle",
                                   quoted_for_gnuplot(title), data, index);
    if (all.names.size() <= kMostNumbers)
      text += fmt::format(", \\\n     {} index {} matrix using 1:2:(sprintf('%.2f', $3)) with labels notitle",
                          data, index);
    return text + "\n";
  };
  const double last = static_cast<double>(all.names.size()) - 0.5;
  std::string body = fmt::format(
      "set border lc rgb '#444444'\nset xtics ({0}) rotate by 35 right nomirror\nset ytics ({0}) nomirror\n"
      "set xrange [-0.5:{1}]\nset yrange [{1}:-0.5]\nset cbrange [-1:1]\nset size square\n"
      "set palette defined (-1 '#D55E00', 0 '#ffffff', 1 '#56B4E9')\n",
      tics, last);
  body += panel("cosine of the averaged prompts", 0);
  body += panel("mean cosine of the best matching rows", 1);
  constexpr int kHeight = 560, kWidth = 1100, kLetter = 14;
  out.script = for_both(pictures, kWidth + kLetter * static_cast<int>(std::min<std::size_t>(longest, 40)),
                        kHeight, "1,2", body);
  return out;
}

}  // namespace

PromptPicture prompt_picture(const Inspections& inspections, const std::string& pictures) {
  return inspections.likeness.empty() ? picture_of_rows(inspections, pictures)
                                      : picture_of_likeness(inspections, pictures);
}

}  // namespace trimtab
