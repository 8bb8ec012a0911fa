// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/text_normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::size_t kMostGrowth = 64;
constexpr std::size_t kShort = 4096;

// Every text whose characters all lie below U+0300 is in form C, and those begin with bytes below 0xCC.
bool is_plainly_nfc(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

std::string form_c(std::string_view text) {
  if (is_plainly_nfc(text)) return std::string(text);
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t bytes = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
      &out, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(out, &std::free);
  if (bytes < 0)
    fail("a text of {} bytes cannot be brought into form C: {}", text.size(), utf8proc_errmsg(bytes));
  return {reinterpret_cast<const char*>(out), static_cast<std::size_t>(bytes)};
}

}  // namespace

std::string replaced(std::string_view text, std::string_view what, std::string_view by, std::size_t most) {
  std::string out;
  for (std::size_t at = text.find(what); at != std::string_view::npos && out.size() <= most;
       at = text.find(what)) {
    out.append(text.substr(0, at)).append(by);
    text.remove_prefix(at + what.size());
  }
  return out.append(text);
}

std::string normalized(const std::vector<NormalizerStep>& steps, std::string_view text,
                       std::string_view place) {
  const std::size_t most = kMostGrowth * text.size() + kShort;
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    switch (step.kind) {
      case NormalizerStep::Kind::kNfc:
        out = form_c(out);
        break;
      case NormalizerStep::Kind::kPrepend:
        if (!out.empty()) out.insert(0, step.text);
        break;
      case NormalizerStep::Kind::kReplace:
        out = replaced(out, step.text, step.by, most);
        break;
    }
    if (out.size() > most)
      fail("{}: step {} of the normalizer makes more than {} bytes of a text of {}; mend the file", place,
           &step - steps.data(), most, text.size());
  }
  return out;
}

}  // namespace trimtab
