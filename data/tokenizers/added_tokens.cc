// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/added_tokens.h"

#include <algorithm>
#include <tuple>

#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

unsigned first_byte(const AddedToken& token) { return static_cast<unsigned char>(token.text.front()); }

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens, std::string_view place)
    : tokens_(std::move(tokens)) {
  for (const AddedToken& token : tokens_)
    if (token.text.empty()) fail("{}: the added token {} has no text", place, token.id);
  std::ranges::stable_sort(tokens_, [](const AddedToken& a, const AddedToken& b) {
    return std::tuple(first_byte(a), b.text.size()) < std::tuple(first_byte(b), a.text.size());
  });
  for (const AddedToken& token : tokens_) ++begin_[first_byte(token) + 1];
  for (std::size_t byte = 0; byte < 256; ++byte) begin_[byte + 1] += begin_[byte];
}

std::optional<AddedTokenFinder::Found> AddedTokenFinder::next(std::string_view text, std::size_t from,
                                                              SpecialText special) const {
  if (tokens_.empty()) return std::nullopt;
  for (std::size_t at = from; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const AddedToken* found = nullptr;
    for (std::size_t i = begin_[byte]; i < begin_[byte + 1] && found == nullptr; ++i)
      if (text.substr(at).starts_with(tokens_[i].text)) found = &tokens_[i];
    if (found == nullptr) {
      ++at;
      continue;
    }
    std::size_t end = at + found->text.size();
    if (found->special && special.is_plain(at, end)) {
      at = end;
      continue;
    }
    const std::size_t left = found->strip_left ? trailing_space(text.substr(from, at - from)) : 0;
    if (found->strip_right) end += leading_space(text.substr(end));
    return Found{at - left, end, found->id};
  }
  return std::nullopt;
}

std::string_view valid_text(std::string_view text, SpecialText& special, std::string& made) {
  if (!find_invalid_utf8(text)) return text;
  const std::size_t begin = std::min(special.begin, text.size()), end = std::min(special.end, text.size());
  made = replace_invalid_utf8(text.substr(0, begin));
  special.begin = made.size();
  made += replace_invalid_utf8(text.substr(begin, end - begin));
  special.end = made.size();
  made += replace_invalid_utf8(text.substr(end));
  return made;
}

}  // namespace trimtab
