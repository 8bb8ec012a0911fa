// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/json_steps.h"

#include <algorithm>

#include "data/tokenizers/bpe_rules.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Calls `visit(kind, step)` for the step, or for each one of a Sequence, whose members stand in `list`.
template <class Visit>
void for_each_step(const JsonValue& step, const char* list, const Visit& visit, int depth = 0) {
  if (step.is_null()) return;
  if (depth > 8) fail("{}: sequences in sequences in sequences", step.place());
  const std::string& kind = step.at("type").text();
  if (kind != "Sequence") return visit(kind, step);
  for (const JsonValue& inner : step.at(list).list()) for_each_step(inner, list, visit, depth + 1);
}

[[noreturn]] void refuse_kind(const JsonValue& step, const std::string& kind, std::string_view known) {
  fail_config("{}: {} is not supported, only {}", step.place(), kind, known);
}

const std::string& string_pattern(const JsonValue& pattern) {
  const std::string& text = pattern.at("String").text();
  if (text.empty()) fail("{} is empty", pattern.at("String").place());
  return text;
}

// A string as an expression that matches it and nothing else.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c)) == 0) out += '\\';
    out += c;
  }
  return out;
}

SplitStep read_split(const JsonValue& split) {
  const JsonValue pattern = split.at("pattern");
  SplitStep step;
  step.pattern = pattern.has("Regex") ? pattern.at("Regex").text() : quoted(string_pattern(pattern));
  const std::string& behavior = split.at("behavior").text();
  // Inverted, what lies between the matches is the delimiter.
  if (behavior == "Removed")
    (split.at("invert").flag_or(false) ? step.keep_rest : step.keep_matches) = false;
  else if (behavior != "Isolated")
    fail_config("{}: {} is not supported, only Isolated and Removed", split.at("behavior").place(), behavior);
  return step;
}

MetaspaceStep read_metaspace(const JsonValue& metaspace) {
  MetaspaceStep step;
  if (metaspace.has("replacement") && metaspace.at("replacement").text() != kBlank)
    fail_config("{} should be '{}', but is '{}'", metaspace.at("replacement").place(), kBlank,
                metaspace.at("replacement").text());
  step.split = metaspace.at("split").flag_or(true);
  const JsonValue scheme = metaspace.at("prepend_scheme");
  if (scheme.is_null()) {
    if (!metaspace.at("add_prefix_space").flag_or(true)) step.prepend = MetaspaceStep::Prepend::kNever;
    return step;
  }
  if (scheme.text() == "first")
    step.prepend = MetaspaceStep::Prepend::kFirst;
  else if (scheme.text() == "never")
    step.prepend = MetaspaceStep::Prepend::kNever;
  else if (scheme.text() != "always")
    fail_config("{}: '{}' is not supported, only always, first and never", scheme.place(), scheme.text());
  return step;
}

// Decoding prints "▁" as a blank, and takes off the one in front of the text.
void check_blank_replaced(const JsonValue& step) {
  if (string_pattern(step.at("pattern")) != kBlank || step.at("content").text() != " ")
    fail_config("{}: only '{}' by a blank is supported", step.place(), kBlank);
}

void read_strip(const JsonValue& step, BpeVocabulary& vocabulary) {
  const std::int64_t start = step.at("start").number();
  if (step.at("content").text() != " " || start < 0 || start > 1 || step.at("stop").number() != 0)
    fail_config("{}: only one blank in front of the text is supported", step.place());
  vocabulary.leading_blank = start == 1 ? LeadingBlank::kDropped : LeadingBlank::kKept;
}

// A blank of three bytes in front of each character makes a text four times as long, and each such step does
// so again. Each step is a call inside of the one before it.
void check_size(const JsonValue& step, const std::vector<PreTokenizerStep>& steps) {
  constexpr std::size_t kMost = 64;
  constexpr std::ptrdiff_t kMostBlanks = 3;
  const auto makes_blanks = [](const PreTokenizerStep& s) { return !std::holds_alternative<SplitStep>(s); };
  if (steps.size() > kMost) fail_config("{}: more than {} steps are not supported", step.place(), kMost);
  if (std::ranges::count_if(steps, makes_blanks) > kMostBlanks)
    fail_config("{}: more than {} steps that put blanks in front of words are not supported", step.place(),
                kMostBlanks);
}

}  // namespace

void read_normalizer(const JsonValue& normalizer, BpeVocabulary& vocabulary) {
  using Kind = NormalizerStep::Kind;
  for_each_step(normalizer, "normalizers", [&](const std::string& kind, const JsonValue& step) {
    if (kind == "NFC")
      vocabulary.normalizer.push_back({Kind::kNfc});
    else if (kind == "Prepend")
      vocabulary.normalizer.push_back({Kind::kPrepend, step.at("prepend").text()});
    else if (kind == "Replace" && step.at("pattern").has("String"))
      vocabulary.normalizer.push_back(
          {Kind::kReplace, string_pattern(step.at("pattern")), step.at("content").text()});
    else
      refuse_kind(step, kind, "NFC, Prepend, and Replace of a String");
  });
}

void read_pre_tokenizer(const JsonValue& pre_tokenizer, BpeVocabulary& vocabulary) {
  vocabulary.byte_level = false;
  std::vector<PreTokenizerStep>& steps = vocabulary.pre_tokenizer;
  for_each_step(pre_tokenizer, "pretokenizers", [&](const std::string& kind, const JsonValue& step) {
    if (vocabulary.byte_level)
      fail_config("{}: {} behind ByteLevel is not supported; ByteLevel has to be the last", step.place(),
                  kind);
    if (kind == "ByteLevel") {
      vocabulary.byte_level = true;
      if (step.at("add_prefix_space").flag_or(true)) steps.emplace_back(LeadingBlankStep{});
      if (step.at("use_regex").flag_or(true)) steps.emplace_back(gpt2_split());
    } else if (kind == "Digits") {
      steps.emplace_back(step.at("individual_digits").flag_or(false) ? digit_split()
                                                                     : SplitStep{R"(\p{N}+)"});
    } else if (kind == "Split") {
      steps.emplace_back(read_split(step));
    } else if (kind == "Metaspace") {
      steps.emplace_back(read_metaspace(step));
    } else {
      refuse_kind(step, kind, "ByteLevel, Digits, Split and Metaspace");
    }
    check_size(step, steps);
  });
}

void read_decoder(const JsonValue& decoder, BpeVocabulary& vocabulary) {
  for_each_step(decoder, "decoders", [&](const std::string& kind, const JsonValue& step) {
    if (kind == "Strip")
      read_strip(step, vocabulary);
    else if (kind == "Replace")
      check_blank_replaced(step);
    else if (kind == "Metaspace" && read_metaspace(step).prepend != MetaspaceStep::Prepend::kNever)
      vocabulary.leading_blank = LeadingBlank::kDroppedWithFirstPiece;
    else if (kind != "ByteLevel" && kind != "ByteFallback" && kind != "Fuse" && kind != "Metaspace")
      refuse_kind(step, kind, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace and Strip");
  });
}

std::optional<TokenId> read_post_processor(const JsonValue& post_processor) {
  std::optional<TokenId> first;
  for_each_step(post_processor, "processors", [&](const std::string& kind, const JsonValue& step) {
    if (kind == "ByteLevel") return;  // moves offsets, which we have none of
    if (kind != "TemplateProcessing") refuse_kind(step, kind, "ByteLevel and TemplateProcessing");
    const std::vector<JsonValue> single = step.at("single").list();
    if (single.empty() || !single.front().has("SpecialToken")) return;
    const JsonValue name = single.front().at("SpecialToken").at("id");
    const std::vector<JsonValue> ids = step.at("special_tokens").at(name.text().c_str()).at("ids").list();
    if (ids.size() != 1 || (single.size() > 1 && single[1].has("SpecialToken")))
      fail_config("{}: more than one token in front of a text is not supported", step.at("single").place());
    first = static_cast<TokenId>(ids.front().number());
  });
  return first;
}

}  // namespace trimtab
