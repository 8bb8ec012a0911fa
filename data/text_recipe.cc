// SPDX-License-Identifier: Apache-2.0
#include "data/text_recipe.h"

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::string_view kWhite = " \t\r\n";

}  // namespace

RecipeCounts& RecipeCounts::operator+=(const RecipeCounts& other) {
  examples += other.examples;
  cut_inputs += other.cut_inputs;
  cut_targets += other.cut_targets;
  longest_input = std::max(longest_input, other.longest_input);
  longest_target = std::max(longest_target, other.longest_target);
  return *this;
}

TextRecipe::TextRecipe(const Tokenizer& tokenizer, RecipeOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)), template_(options_.text, options_.shots) {
  if (options_.max_input < 2 || options_.max_target < 2)
    fail_config("max_input and max_target should be 2 or more (one token and eos), but are {} and {}",
                options_.max_input, options_.max_target);
  before_ids_ = fixed_ids(0, template_.input_segment(), Behind::kNothing);
  back_ids_ = encode_part(template_.back(), SpecialText::kToken, Behind::kText);
  if (!back_ids_.empty()) behind_input_ = tokenizer_.behind(back_ids_);
  behind_ids_ = fixed_ids(template_.input_segment() + 1, template_.segments().size(), behind_input_);
  if (options_.one_text && template_.last() == ' ')
    fail_config("the template '{}' ends in a blank, but a blank belongs to the word behind it: take it away",
                options_.text);
  if (options_.one_text && kWhite.find(template_.last()) == std::string_view::npos) blank_.push_back(' ');
  const std::size_t fixed =
      before_ids_.size() +
      encode_part(template_.front(), SpecialText::kToken, tokenizer_.behind(before_ids_)).size() +
      back_ids_.size() + behind_ids_.size();
  if (fixed + 2 > static_cast<std::size_t>(options_.max_input))
    fail_config("the template '{}' takes {} tokens, which leaves no room for text in max_input = {}",
                options_.text, fixed, options_.max_input);
  check_beginning();
  find_places();
}

// Written where it is put anyway, the token that begins a text would stand there twice.
void TextRecipe::check_beginning() const {
  if (!options_.one_text || options_.begin < 0) return;
  std::vector<TokenId> first = before_ids_;
  if (first.empty()) first = encode_part(template_.front(), SpecialText::kToken, Behind::kNothing);
  if (!first.empty() && first.front() == options_.begin)
    fail_config("the template '{}' begins with {}, which is put in front of every text already: leave it out",
                options_.text, tokenizer_.piece(options_.begin));
}

std::vector<TokenId> TextRecipe::encode_part(const std::string& part, SpecialText special,
                                             Behind behind) const {
  return tokenizer_.encode(part, special, options_.one_text ? behind : Behind::kNothing);
}

std::vector<TokenId> TextRecipe::fixed_ids(std::size_t first_segment, std::size_t end, Behind behind) const {
  std::vector<TokenId> ids;
  for (std::size_t i = first_segment; i < end; ++i) {
    const std::vector<TokenId> more = encode_part(template_.segments()[i], SpecialText::kToken,
                                                  ids.empty() ? behind : tokenizer_.behind(ids));
    ids.insert(ids.end(), more.begin(), more.end());
  }
  return ids;
}

// A blank that the vocabulary itself would put there stands in `blank_`, so a target always goes on a text.
std::vector<TokenId> TextRecipe::encode_words(const std::string& words) const {
  return encode_part(blank_ + words, SpecialText::kPlain, Behind::kText);
}

// Counted with what begins a text and what ends it.
void TextRecipe::find_places() {
  const std::size_t begin = options_.one_text && options_.begin >= 0 ? 1 : 0, end = options_.one_text ? 0 : 1;
  const std::size_t at_beginning = options_.prompt_first ? 0 : begin;
  if (template_.places().empty()) places_.push_back({std::nullopt, false, at_beginning});
  for (const InputTemplate::Place& place : template_.places()) {
    const std::size_t before =
        place.behind_input ? fixed_ids(template_.input_segment() + 1, place.segment, behind_input_).size()
                           : fixed_ids(0, place.segment, Behind::kNothing).size();
    const std::size_t tokens = place.behind_input   ? behind_ids_.size() - before + end
                               : place.segment == 0 ? at_beginning
                                                    : before + begin;
    places_.push_back({place.positions, place.behind_input, tokens});
    if (options_.one_text && place.behind_input && tokens == 0)
      fail_config(
          "the template '{}' ends in a place for trained positions, but a model of this kind begins its "
          "answer "
          "at a token: put the cue behind it",
          options_.text);
  }
}

std::vector<TokenId> TextRecipe::encode_input(const std::string& input, RecipeCounts& counts) const {
  const std::size_t most =
      static_cast<std::size_t>(options_.max_input - 1) - before_ids_.size() - behind_ids_.size();
  const std::size_t begin = template_.front().size();
  const SpecialText around{begin, begin + input.size()};
  const Behind behind = tokenizer_.behind(before_ids_);
  std::vector<TokenId> middle = encode_part(template_.front() + input + template_.back(), around, behind);
  if (middle.size() > most) {
    ++counts.cut_inputs;
    if (!back_ids_.empty()) middle = encode_part(template_.front() + input, around, behind);
    middle.resize(std::min(middle.size(), most - back_ids_.size()));
    middle.insert(middle.end(), back_ids_.begin(), back_ids_.end());
  }
  std::vector<TokenId> ids = before_ids_;
  ids.insert(ids.end(), middle.begin(), middle.end());
  ids.insert(ids.end(), behind_ids_.begin(), behind_ids_.end());
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
  return fmt::format("{} {} {} {} {} {} {} {} {}", tokenizer_.hash(), tokenizer_.size(), options_.max_input,
                     options_.max_target, options_.one_text, options_.begin, options_.sentinel, options_.text,
                     options_.shots);
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
      fail_config(
          "label '{}' cannot be written with the vocabulary {}: it holds an unknown piece; give the "
          "labels other words (task.label_words, or in the task's file)",
          label, tokenizer_.path());
    ids.push_back(tokenizer_.eos());
    all.push_back(std::move(ids));
  }
  return all;
}

}  // namespace trimtab
