// SPDX-License-Identifier: Apache-2.0
//
// The log: one line an event to stderr, "HH:MM:SS  rank  level  text", and to a file if asked. launch/
// configures it, and anew for each run; any thread may log at any time. Before that,
// lines of level info and above carry "-" for the rank. This is the one piece of process-wide state besides
// the standard streams that it writes to.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace trimtab {

// Lower-case, since TT_LOG(info, ...) names them.
enum class LogLevel { debug, info, warning, error };

struct LogOptions {
  int rank = -1;  // -1: no rank yet
  int world = 1;  // number of ranks: the rank column is as wide as the greatest rank
  LogLevel level = LogLevel::info;
  std::string file;  // also written here, appended, of every level; "" for none
};

// Throws ConfigError when the file cannot be opened.
void configure_log(const LogOptions& options);

// Throws ConfigError that lists the levels.
LogLevel parse_log_level(std::string_view name);

bool log_enabled(LogLevel level);

// To stderr alone, for whoever must not wait for the disk of the file.
void log_without_disk(LogLevel level, std::string_view text);

namespace detail {
void log_line(LogLevel level, std::string_view text);

template <typename... Args>
void log_format(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  log_line(level, fmt::format(format, std::forward<Args>(args)...));
}
}  // namespace detail

}  // namespace trimtab

// TT_LOG(info, "read {} tensors from {}", count, path). Arguments are not evaluated when the level is off.
#define TT_LOG(level, ...)                                                    \
  do {                                                                        \
    if (::trimtab::log_enabled(::trimtab::LogLevel::level))                   \
      ::trimtab::detail::log_format(::trimtab::LogLevel::level, __VA_ARGS__); \
  } while (false)
