// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/pre_tokenizer.h"

#include "data/tokenizers/text_normalizer.h"
#include "runtime/registry.h"

namespace trimtab {
namespace {

constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
using Steps = std::vector<PreTokenizerStep>;

// The names that llama.cpp's converter writes; models that cut alike share a line.
const Registry<Steps>& pre_tokenizers() {
  static const Steps gpt2{gpt2_split()};
  static const Steps digits{digit_split(), gpt2_split()};
  static const Steps llama3{SplitStep{kLlama3}};
  static const Steps qwen2{SplitStep{kQwen2}};
  static const Registry<Steps> table("tokenizer.ggml.pre", {
                                                               {"gpt-2", gpt2},
                                                               {"smollm", digits},
                                                               {"starcoder", digits},
                                                               {"refact", digits},
                                                               {"llama-bpe", llama3},
                                                               {"llama-v3", llama3},
                                                               {"llama3", llama3},
                                                               {"qwen2", qwen2},
                                                               {"deepseek-r1-qwen", qwen2},
                                                           });
  return table;
}

// What the part of a text from `begin` on stands behind.
Behind part_behind(Behind behind, std::size_t begin) { return begin == 0 ? behind : Behind::kToken; }

}  // namespace

SplitStep gpt2_split() { return {kGpt2}; }
SplitStep digit_split() { return {R"(\p{N})"}; }

const std::vector<PreTokenizerStep>& named_pre_tokenizer(std::string_view name, std::string_view place) {
  return pre_tokenizers().find(name, place);
}

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps, std::string_view place) {
  for (const PreTokenizerStep& step : steps) {
    if (const auto* split = std::get_if<SplitStep>(&step))
      steps_.emplace_back(Split{Pattern(split->pattern, place), split->keep_matches, split->keep_rest});
    else if (const auto* metaspace = std::get_if<MetaspaceStep>(&step))
      steps_.emplace_back(*metaspace);
    else
      steps_.emplace_back(LeadingBlankStep{});
  }
}

void PreTokenizer::run(std::size_t at, std::string_view text, Behind behind, const Visit& visit) const {
  if (text.empty()) return;
  if (at == steps_.size()) return visit(text);
  std::visit([&](const auto& step) { cut(step, at, text, behind, visit); }, steps_[at]);
}

void PreTokenizer::cut(const Split& split, std::size_t at, std::string_view text, Behind behind,
                       const Visit& visit) const {
  std::size_t done = 0;
  const auto pass = [&](std::size_t begin, std::size_t end, bool keep) {
    if (keep) run(at + 1, text.substr(begin, end - begin), part_behind(behind, begin), visit);
    done = end;
  };
  for (Pattern::Scan scan(split.pattern, text); scan.next();) {
    pass(done, scan.begin(), split.keep_rest);
    pass(scan.begin(), scan.end(), split.keep_matches);
  }
  pass(done, text.size(), split.keep_rest);
}

void PreTokenizer::cut(LeadingBlankStep, std::size_t at, std::string_view text, Behind behind,
                       const Visit& visit) const {
  if (text.front() == ' ' || behind == Behind::kText) return run(at + 1, text, behind, visit);
  run(at + 1, std::string(1, ' ').append(text), behind, visit);
}

void PreTokenizer::cut(const MetaspaceStep& step, std::size_t at, std::string_view text, Behind behind,
                       const Visit& visit) const {
  std::string out = replaced(text, " ", step.blank);
  const bool wanted = behind == Behind::kNothing
                          ? step.prepend != MetaspaceStep::Prepend::kNever
                          : behind == Behind::kToken && step.prepend == MetaspaceStep::Prepend::kAlways;
  if (wanted && !out.starts_with(step.blank)) out.insert(0, step.blank);
  const std::string_view all(out);
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = step.split ? std::min(all.find(step.blank, begin + 1), all.size()) : all.size();
    run(at + 1, all.substr(begin, end - begin), part_behind(behind, begin), visit);
    begin = end;
  }
}

}  // namespace trimtab
