// SPDX-License-Identifier: Apache-2.0
//
// The numbers of a run as JSON lines: one object a line, each with its "step", written and flushed at once,
// so that a run that is killed loses at most the line it was writing. One rank writes. A resumed run cuts off
// what it will do again.
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace trimtab {

class MetricsLog {
 public:
  // Opens `path` for appending, and creates it if need be. A last line without its end (the writer was
  // killed) is cut off. Throws Error.
  explicit MetricsLog(std::string path);

  // Appends {"step": step, "kind": kind, ...values}; `values` is an object without these two keys. Numbers
  // that are not finite become null. Throws Error if the line could not be written in full.
  void write(std::int64_t step, std::string_view kind, const nlohmann::ordered_json& values);

  // Drops each line whose step is greater than `step`: those of a run that went on after the checkpoint from
  // which this one resumes. The file is replaced in one piece. Throws Error that names file and line if a
  // line is not an object with an integer "step".
  void truncate_after(std::int64_t step);

  const std::string& path() const { return path_; }

 private:
  void open();

  std::string path_;
  std::ofstream file_;
};

}  // namespace trimtab
