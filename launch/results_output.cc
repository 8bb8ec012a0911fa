// SPDX-License-Identifier: Apache-2.0
#include "launch/results_output.h"

#include <cstdio>

#include "experiments/results_plots.h"

namespace trimtab {

void draw_results(const std::string& title, const Results& results, const std::string& folder,
                  std::ostream& words) {
  for (const std::string& note : results.notes) words << note << '\n';
  for (const NamedPlot& named : results_plots(title, results)) {
    const std::string path = folder + "/" + named.name;
    std::string why;
    if (draw(named.plot, path, why)) {
      words << "picture: " << path << ".png\n";
    } else {
      words << "no picture: " << why << '\n';
      break;
    }
  }
  words.flush();
}

void print_table(const Results& results, TableFormat format) {
  if (!results.rows.empty()) std::fputs(results_table(results, format).c_str(), stdout);
}

}  // namespace trimtab
