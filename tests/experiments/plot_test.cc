// SPDX-License-Identifier: Apache-2.0
#include "experiments/plot.h"

#include <gmock/gmock.h>

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Plot curve_and_level() {
  Plot plot;
  plot.title = "it's";
  plot.curves = {{"a", {{0, 50}, {10, 60.5}}}, {"empty", {}}};
  plot.levels = {{"zero", 48}};
  return plot;
}

TEST(Plot, ScriptAndDataBelongTogether) {
  const Plot plot = curve_and_level();
  EXPECT_EQ(plot_data(plot), "# a\n0 50 50 50\n10 60.5 60.5 60.5\n\n\n# zero\n0 48\n10 48\n");
  const std::string script = plot_script(plot, "d.dat", "p");
  EXPECT_THAT(
      script,
      AllOf(HasSubstr("set title 'it''s'"), HasSubstr("'d.dat' index 0 using 1:2 with linespoints"),
            HasSubstr("'d.dat' index 1 using 1:2 with lines dt"), HasSubstr("set output 'p.png'"),
            HasSubstr("set output 'p.svg'"), Not(HasSubstr("empty")), Not(HasSubstr("filledcurves"))));
}

TEST(Plot, SpreadsAreBandsOrBars) {
  Plot plot = curve_and_level();
  plot.curves[0].points[1].spread = 2;
  EXPECT_THAT(plot_data(plot), HasSubstr("10 60.5 58.5 62.5\n"));
  EXPECT_THAT(plot_script(plot, "d", "p"), HasSubstr("using 1:3:4 with filledcurves"));
  plot.few_points = true;
  EXPECT_THAT(plot_script(plot, "d", "p"), HasSubstr("using 1:2:3:4 with yerrorbars"));
}

TEST(Plot, NoAxisGoesWhereNoScoreCanBe) {
  Plot plot = curve_and_level();
  plot.levels = {{"zero", 0}};
  EXPECT_THAT(plot_script(plot, "d", "p"), HasSubstr("set yrange [0:64.13]"));
  plot.curves[0].points[1].y = 99.9;
  EXPECT_THAT(plot_script(plot, "d", "p"), HasSubstr("set yrange [0:100]"));
}

TEST(Plot, WideAxesOfFewPointsAreLogarithmicAndMarked) {
  Plot plot = curve_and_level();
  plot.few_points = true;
  EXPECT_THAT(plot_script(plot, "d", "p"), Not(HasSubstr("logscale")));  // one of them is 0
  plot.curves[0].points = {{1, 50}, {20, 60}, {77000000, 70}};
  EXPECT_THAT(plot_script(plot, "d", "p"),
              AllOf(HasSubstr("set logscale x"), HasSubstr("set xtics ('1' 1, '20' 20, '77 M' 77000000)")));
}

TEST(Plot, NothingToDrawIsSaid) {
  std::string why;
  EXPECT_FALSE(draw(Plot{}, "/tmp/none", why));
  EXPECT_THAT(why, HasSubstr("nothing to draw"));
}

}  // namespace
}  // namespace trimtab
