// SPDX-License-Identifier: Apache-2.0
//
// The text around an input, with places for examples that are shown and for positions that are trained:
//   "{prompt:10}{shots}Definition: {input}{prompt:5} Category:"
// It is cut at the places of trained positions into segments that are tokenised one by one, so that each
// place is a number of tokens from the beginning or from the end of every text, however long its input is.
// "{{" is a brace of the text, so that "{{input}" stands for "{input}".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

class InputTemplate {
 public:
  // `shots` stands in place of "{shots}", as it is. Throws ConfigError for a template without "{input}" or
  // with two, with a second "{shots}", with one of the two but not the other of "{shots}" and `shots`, with a
  // place for no position, or with another name in braces.
  explicit InputTemplate(const std::string& text, const std::string& shots = "");

  // "{prompt:10}", or "{prompt}" for an even share of the positions.
  struct Place {
    std::optional<int> positions;
    bool behind_input = false;
    std::size_t segment = 0;  // in front of which it is; their number for one at the end
  };
  const std::vector<Place>& places() const { return places_; }

  // Those without an input are fixed. The other one is what stands around it.
  const std::vector<std::string>& segments() const { return segments_; }
  std::size_t input_segment() const { return input_segment_; }
  const std::string& front() const { return front_; }
  const std::string& back() const { return back_; }
  // What the target follows.
  char last() const { return last_; }

 private:
  std::vector<Place> places_;
  std::vector<std::string> segments_;
  std::size_t input_segment_ = 0;
  std::string front_, back_;
  char last_ = '}';
};

// Where a slot such as "{input}" stands in `text` from `from` on; npos where it does not.
std::size_t find_slot(const std::string& text, std::string_view slot, std::size_t from = 0);
// Throws ConfigError for a name in braces that is not among `known`; `what` begins the message.
void check_slots(const std::string& text, const std::vector<std::string>& known, std::string_view what);
// Of the text beside the slots: braces that are written twice become one.
std::string with_plain_braces(std::string text);

// The template with `inner`, which may hold places and "{input}" as well, in place of its "{input}".
std::string nested_template(const std::string& outer, const std::string& inner);

}  // namespace trimtab
