// SPDX-License-Identifier: Apache-2.0
#include "runtime/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

std::shared_ptr<spdlog::logger> make_logger(const LogOptions& options) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  sinks.front()->set_level(spdlog_level(options.level));
  if (!options.file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    } catch (const spdlog::spdlog_ex& reason) {
      fail_config("{}: cannot open the log file: {}; choose a file that you may write to", options.file,
                  reason.what());
    }
  }
  auto logger = std::make_shared<spdlog::logger>("trimtab", sinks.begin(), sinks.end());
  const auto width = fmt::formatted_size("{}", std::max(0, options.world - 1));
  const std::string rank = options.rank < 0 ? "-" : fmt::format("{}", options.rank);
  logger->set_pattern(fmt::format("%H:%M:%S  {:>{}}  %-7l  %v", rank, width));
  logger->set_level(options.file.empty() ? spdlog_level(options.level) : spdlog::level::debug);
  // Who needs the disk says that it is full.
  logger->set_error_handler([](const std::string&) {});
  logger->flush_on(spdlog::level::debug);
  return logger;
}

// Replaced while other threads, such as a watchdog's, may be writing to the old one.
struct Current {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger = make_logger({});
};

Current& current() {
  static Current it;
  return it;
}

std::shared_ptr<spdlog::logger> logger() {
  const std::scoped_lock lock(current().mutex);
  return current().logger;
}

}  // namespace

void configure_log(const LogOptions& options) {
  std::shared_ptr<spdlog::logger> made = make_logger(options);
  const std::scoped_lock lock(current().mutex);
  current().logger = std::move(made);
}

LogLevel parse_log_level(std::string_view name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "info") return LogLevel::info;
  if (name == "warning") return LogLevel::warning;
  if (name == "error") return LogLevel::error;
  const std::string hint = did_you_mean(name, {"debug", "info", "warning", "error"});
  fail_config("unknown log level '{}'{} levels: debug, info, warning, error", name,
              hint.empty() ? ";" : hint);
}

bool log_enabled(LogLevel level) { return logger()->should_log(spdlog_level(level)); }

void log_without_disk(LogLevel level, std::string_view text) {
  const auto own = logger();
  const spdlog::details::log_msg line(own->name(), spdlog_level(level), {text.data(), text.size()});
  spdlog::sink_ptr& terminal = own->sinks().front();
  if (!terminal->should_log(line.level)) return;
  terminal->log(line);
  terminal->flush();
}

void detail::log_line(LogLevel level, std::string_view text) {
  logger()->log(spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace trimtab
