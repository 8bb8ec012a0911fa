// SPDX-License-Identifier: Apache-2.0
//
// Errors. A ConfigError says that the user asked for the impossible (exit code 2, before work starts); an
// Error says that something failed while running (exit code 1). Messages name the file, key or values and the
// remedy.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace trimtab {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class ConfigError : public Error {
 public:
  using Error::Error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void fail_config(fmt::format_string<Args...> format, Args&&... args) {
  throw ConfigError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace trimtab

// A broken invariant of our own code, checked in release builds too. Errors that a user can cause use fail()
// or fail_config(), whose texts need no place in the source.
#define TT_CHECK(condition, ...)                                                                        \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]]                                                                      \
      throw ::trimtab::Error(fmt::format("{}:{}: check failed: {}: {}", __FILE__, __LINE__, #condition, \
                                         fmt::format(__VA_ARGS__)));                                    \
  } while (false)
