// SPDX-License-Identifier: Apache-2.0
#include "data/text_recipe.h"

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kSlot = "{input}";
constexpr std::string_view kWhite = " \t\r\n";

}  // namespace

std::string nested_template(const std::string& outer, const std::string& inner) {
  const std::size_t slot = outer.find(kSlot);
  if (slot == std::string::npos) return outer;
  return outer.substr(0, slot) + inner + outer.substr(slot + kSlot.size());
}

RecipeCounts& RecipeCounts::operator+=(const RecipeCounts& other) {
  examples += other.examples;
  cut_inputs += other.cut_inputs;
  cut_targets += other.cut_targets;
  longest_input = std::max(longest_input, other.longest_input);
  longest_target = std::max(longest_target, other.longest_target);
  return *this;
}

TextRecipe::TextRecipe(const Tokenizer& tokenizer, RecipeOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  if (options_.max_input < 2 || options_.max_target < 2)
    fail_config("max_input and max_target should be 2 or more (one token and eos), but are {} and {}",
                options_.max_input, options_.max_target);
  const std::size_t slot = options_.text.find(kSlot);
  if (slot == std::string::npos || options_.text.find(kSlot, slot + 1) != std::string::npos)
    fail_config("the template '{}' should contain {} once", options_.text, kSlot);
  if (tokenizer_.encode(options_.text, SpecialText::kToken) != tokenizer_.encode(options_.text))
    fail_config(
        "the template '{}' holds the written form of a special token, which would be read as plain text: "
        "leave it out",
        options_.text);
  front_ = options_.text.substr(0, slot);
  back_ = options_.text.substr(slot + kSlot.size());
  back_ids_ = tokenizer_.encode(back_);
  if (options_.one_text && options_.text.ends_with(' '))
    fail_config("the template '{}' ends in a blank, but a blank belongs to the word behind it: take it away",
                options_.text);
  if (options_.one_text && kWhite.find(options_.text.back()) == std::string_view::npos) blank_.push_back(' ');
  const std::size_t fixed = tokenizer_.encode(front_).size() + back_ids_.size();
  if (fixed + 2 > static_cast<std::size_t>(options_.max_input))
    fail_config("the template '{}' takes {} tokens, which leaves no room for text in max_input = {}",
                options_.text, fixed, options_.max_input);
}

std::vector<TokenId> TextRecipe::encode_input(const std::string& input, RecipeCounts& counts) const {
  const auto most = static_cast<std::size_t>(options_.max_input - 1);
  std::vector<TokenId> ids = tokenizer_.encode(front_ + input + back_);
  if (ids.size() > most) {
    ++counts.cut_inputs;
    if (!back_ids_.empty()) ids = tokenizer_.encode(front_ + input);
    ids.resize(std::min(ids.size(), most - back_ids_.size()));
    ids.insert(ids.end(), back_ids_.begin(), back_ids_.end());
  }
  if (!options_.one_text || (ids.empty() && options_.begin < 0)) ids.push_back(tokenizer_.eos());
  if (options_.one_text && options_.begin >= 0) ids.insert(ids.begin(), options_.begin);
  counts.longest_input = std::max(counts.longest_input, ids.size());
  return ids;
}

std::vector<TokenId> TextRecipe::target_ids(const std::string& target) const {
  std::vector<TokenId> ids = encode_words(target);
  if (options_.sentinel >= 0) ids.insert(ids.begin(), options_.sentinel);
  return ids;
}

std::string TextRecipe::identity() const {
  return fmt::format("{} {} {} {} {} {} {} {}", tokenizer_.hash(), tokenizer_.size(), options_.max_input,
                     options_.max_target, options_.one_text, options_.begin, options_.sentinel,
                     options_.text);
}

std::vector<TokenId> TextRecipe::encode_target(const std::string& target, RecipeCounts& counts) const {
  const auto most = static_cast<std::size_t>(options_.max_target - 1);
  std::vector<TokenId> ids = target_ids(target);
  if (ids.size() > most) {
    ++counts.cut_targets;
    ids.resize(most);
  }
  ids.push_back(tokenizer_.eos());
  counts.longest_target = std::max(counts.longest_target, ids.size());
  return ids;
}

std::string TextRecipe::decode_target(std::span<const TokenId> ids) const {
  std::string text = tokenizer_.decode(ids);
  if (options_.sentinel >= 0) {
    const std::string sentinel = tokenizer_.piece(options_.sentinel);
    if (text.starts_with(sentinel)) text.erase(0, sentinel.size());
    text.erase(0, text.find_first_not_of(' '));
  }
  if (!options_.one_text) return text;
  const std::size_t begin = text.find_first_not_of(kWhite);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(kWhite) + 1 - begin);
}

ExampleStore TextRecipe::encode(const std::vector<TextExample>& examples, RecipeCounts& counts) const {
  if (examples.empty()) fail("the data set is empty: there is no example to encode");
  ExampleStore store;
  for (const TextExample& example : examples) {
    store.inputs.append(encode_input(example.input, counts));
    store.targets.append(encode_target(example.target, counts));
    ++counts.examples;
  }
  return store;
}

std::vector<std::vector<TokenId>> TextRecipe::encode_labels(const std::vector<std::string>& labels) const {
  std::vector<std::vector<TokenId>> all;
  for (const std::string& label : labels) {
    std::vector<TokenId> ids = target_ids(label);
    if (ids.size() + 1 > static_cast<std::size_t>(options_.max_target))
      fail_config("label '{}' takes {} tokens with eos, but max_target is {}; raise it", label,
                  ids.size() + 1, options_.max_target);
    if (tokenizer_.unk() && std::ranges::find(ids, *tokenizer_.unk()) != ids.end())
      fail_config("label '{}' cannot be written with the vocabulary {}: it holds an unknown piece", label,
                  tokenizer_.path());
    ids.push_back(tokenizer_.eos());
    all.push_back(std::move(ids));
  }
  return all;
}

}  // namespace trimtab
