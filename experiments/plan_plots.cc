// SPDX-License-Identifier: Apache-2.0
#include "experiments/plan_plots.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "experiments/memory_parts.h"
#include "experiments/plot.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string quoted(const std::string& text) { return quoted_for_gnuplot(text); }

// The head of a script, and its end: the same plot as .png and .svg.
std::string script_of(const std::string& title, const std::string& axes, const std::string& plot, int height,
                      const std::string& path) {
  return fmt::format(
      "set encoding utf8\nset title {}\nset grid y lt 1 lw 1 lc rgb '#e6e6e6'\n"
      "set border 3 lc rgb '#444444'\nset tics nomirror\nset key outside right top Left reverse samplen 2\n{}"
      "set terminal pngcairo noenhanced size 1000,{} font 'Sans,11'\nset output {}\n{}\n"
      "set terminal svg noenhanced size 1000,{} font 'Sans,14' background rgb 'white'\nset output {}\n"
      "replot\n",
      quoted(title), axes, height, quoted(path + ".png"), plot, height, quoted(path + ".svg"));
}

// The parts that are there at the peak of a stage; the others have no height.
std::int64_t shown_bytes(const RankMemory& memory, const MemoryPart& part) {
  const bool training = memory.training() >= memory.scoring();
  return (training ? part.of_scoring_only : part.of_training_only) ? 0 : memory.*part.bytes;
}

// Colours that the colour-blind tell apart (Okabe and Ito 2008), from what is always there to what comes and
// goes.
constexpr std::array<const char*, 8> kColors = {"#777777", "#0072B2", "#CC79A7", "#E69F00",
                                                "#D55E00", "#8C5E3C", "#009E73", "#56B4E9"};

}  // namespace

Picture memory_picture(const MeshPlan& mesh, const Device& device, const std::string& path) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  Picture out;
  double highest = 0;
  for (std::size_t stage = 0; stage < mesh.stages.size(); ++stage) {
    const PlannedStage& planned = mesh.stages[stage];
    // A data file has double quotes only.
    out.data += mesh.stages.size() == 1 ? fmt::format("\"{}\"", planned.units)
                                        : fmt::format("\"stage {}: {}\"", stage, planned.units);
    for (const MemoryPart& part : memory_parts())
      out.data += fmt::format(" {:.6f}", static_cast<double>(shown_bytes(planned.memory, part)) / kGiB);
    out.data += '\n';
    highest = std::max(highest, static_cast<double>(planned.memory.peak()) / kGiB);
  }
  std::vector<std::string> bars;
  for (std::size_t i = 0; i < memory_parts().size(); ++i)
    bars.push_back(fmt::format("{} using {}:xtic(1) title {} lc rgb '{}'",
                               i == 0 ? quoted(path + ".dat") : "''", i + 2, quoted(memory_parts()[i].name),
                               kColors[i]));
  const double memory = static_cast<double>(device.memory) / kGiB;
  // A device that is nearly empty is told by the legend, so that the bars can be seen.
  constexpr double kNearlyEmpty = 4;
  if (highest * kNearlyEmpty > memory) highest = std::max(highest, memory);
  bars.push_back(fmt::format("{} with lines dt 2 lw 2 lc rgb '#000000' title {}", memory,
                             quoted(fmt::format("{}: {:.1f} GiB", device.name, memory))));
  out.script = script_of(
      fmt::format("Memory of a rank, {}", mesh.mesh.text()),
      fmt::format(
          "set style data histogram\nset style histogram rowstacked\nset style fill solid 0.9 noborder\n"
          "set boxwidth 0.6\nset ylabel 'GiB'\nset yrange [0:{:.4g}]\nset xtics rotate by -15\n",
          highest * 1.06),
      fmt::format("plot {}", fmt::join(bars, ", \\\n     ")), 560, path);
  return out;
}

Picture timeline_picture(const MeshPlan& mesh, const std::string& path) {
  Picture out;
  constexpr double kMilli = 1e3;
  for (const Compute compute : {Compute::kForward, Compute::kBackward}) {
    out.data += compute == Compute::kForward ? "# forward\n" : "\n\n# backward\n";
    for (const TimedWork& timed : mesh.timeline.work)
      if (timed.work.compute == compute)
        out.data += fmt::format("{} {} {} {}\n", timed.begin * kMilli, timed.end * kMilli, timed.stage,
                                timed.work.micro);
  }
  const bool backward = std::ranges::any_of(
      mesh.timeline.work, [](const TimedWork& timed) { return timed.work.compute == Compute::kBackward; });
  std::vector<std::string> parts;
  const auto add = [&](int block, const char* name, const char* color) {
    parts.push_back(
        fmt::format("{} index {} using (($1+$2)/2):3:1:2:($3-0.38):($3+0.38) with boxxyerror lc rgb "
                    "'{}' title '{}'",
                    quoted(path + ".dat"), block, color, name));
  };
  add(0, "forward", kColors[1]);
  if (backward) add(1, "backward", kColors[4]);
  // Numbers that would overlap are left out.
  constexpr std::size_t kReadable = 96;
  if (mesh.timeline.work.size() <= kReadable)
    for (int block = 0; block < (backward ? 2 : 1); ++block)
      parts.push_back(fmt::format("{} index {} using (($1+$2)/2):3:4 with labels tc rgb 'white' notitle",
                                  quoted(path + ".dat"), block));
  const int stages = static_cast<int>(mesh.stages.size());
  std::string tics;
  for (int stage = 0; stage < stages; ++stage)
    tics += fmt::format("{}{} {}", stage == 0 ? "" : ", ", quoted(fmt::format("stage {}", stage)), stage);
  out.script = script_of(
      fmt::format("Passes of a step, {}: {:.0f} % of the time idle", mesh.mesh.text(),
                  100 * mesh.timeline.idle_share(stages)),
      fmt::format("set style fill solid 0.9 border lc rgb 'white'\nset xlabel 'milliseconds'\n"
                  "set xrange [0:{:.6g}]\nset yrange [{}:-0.6]\nset ytics ({})\n",
                  mesh.timeline.seconds * kMilli, stages - 0.4, tics),
      fmt::format("plot {}", fmt::join(parts, ", \\\n     ")), std::min(560, 200 + 60 * stages), path);
  return out;
}

std::string draw_plan(const MeshPlan& mesh, const Device& device, const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::string words;
  const auto draw_one = [&](const std::string& path, const Picture& picture) {
    std::string why;
    words += draw_script(picture.script, picture.data, path, why)
                 ? fmt::format("picture: {}.png\n", path)
                 : fmt::format("no picture {}.png: {}\n", path, why);
  };
  const std::string memory = folder + "/memory", timeline = folder + "/timeline";
  draw_one(memory, memory_picture(mesh, device, memory));
  if (!mesh.timeline.work.empty()) draw_one(timeline, timeline_picture(mesh, timeline));
  return words;
}

}  // namespace trimtab
