// SPDX-License-Identifier: Apache-2.0
//
// Format of data.noun: wndb(5WN). A line is "offset lex_filenum ss_type w_cnt word lex_id ... | gloss"; lines
// of the licence at the top begin with two blanks. Numbers of the classes: lexnames(5WN).
#include "data/tasks/wordnet.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <unordered_set>

#include "data/labels.h"
#include "data/stable_hash.h"
#include "data/text_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Part {
  int first;  // lex_filenum of the first class
  std::vector<std::string> classes;
  std::vector<std::string> usual;
};

Part part_of(const std::string& name) {
  if (name == "noun")
    return {3,
            {"Tops",          "act",    "animal",     "artifact",  "attribute",  "body",     "cognition",
             "communication", "event",  "feeling",    "food",      "group",      "location", "motive",
             "object",        "person", "phenomenon", "plant",     "possession", "process",  "quantity",
             "relation",      "shape",  "state",      "substance", "time"},
            {"animal", "artifact", "body", "communication", "food", "location", "person", "plant", "state",
             "substance"}};
  if (name == "verb") {
    const std::vector<std::string> all = {"body",        "change",      "cognition",  "communication",
                                          "competition", "consumption", "contact",    "creation",
                                          "emotion",     "motion",      "perception", "possession",
                                          "social",      "stative",     "weather"};
    return {29, all, all};
  }
  fail_config("task wordnet/lexname: part should be noun or verb, but is '{}'", name);
}

struct Synset {
  std::string offset;
  int lex_filenum = 0;
  std::string word;
  std::string gloss;
  std::uint64_t hash = 0;
};

// The gloss up to its first quoted example.
std::string definition_of(std::string_view gloss) {
  constexpr std::string_view kBlank = " \t";
  const auto trim_back = [&](std::string_view text, std::string_view what) {
    const std::size_t last = text.find_last_not_of(what);
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  };
  gloss.remove_prefix(std::min(gloss.size(), gloss.find_first_not_of(kBlank)));
  const std::size_t quote = gloss.find('"');
  if (quote != std::string_view::npos && quote > 0) gloss = trim_back(gloss.substr(0, quote), " \t;:,");
  return std::string(trim_back(gloss, kBlank));
}

std::string_view take_field(std::string_view& line) {
  const std::size_t blank = line.find(' ');
  const std::string_view field = line.substr(0, blank);
  line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
  return field;
}

Synset parse_synset(std::string_view line, const std::string& place) {
  Synset synset;
  const std::size_t bar = line.find(" | ");
  if (bar == std::string_view::npos) fail("{}: no WordNet data line: it has no ' | ' before a gloss", place);
  synset.gloss = definition_of(line.substr(bar + 3));
  synset.offset = take_field(line);
  const std::string_view number = take_field(line);
  const auto [stop, error] =
      std::from_chars(number.data(), number.data() + number.size(), synset.lex_filenum);
  if (error != std::errc() || stop != number.data() + number.size() || synset.offset.size() != 8)
    fail("{}: no WordNet data line: it begins with '{} {}'", place, synset.offset, number);
  take_field(line);
  take_field(line);
  synset.word = take_field(line);
  std::replace(synset.word.begin(), synset.word.end(), '_', ' ');
  if (synset.gloss.empty()) fail("{}: the gloss is empty", place);
  return synset;
}

class Lexname final : public Task {
 public:
  explicit Lexname(LexnameOptions options) : options_(std::move(options)), part_(part_of(options_.part)) {
    for (const std::int64_t rows : {options_.max_train, options_.max_validation, options_.max_test})
      check_max_rows(name(), rows);
    if (options_.validation_percent < 1 || options_.test_percent < 1 ||
        options_.validation_percent + options_.test_percent > 90)
      fail_config(
          "task {}: validation_percent and test_percent should each be 1 or more and 90 at most together, "
          "but are {} and {}",
          name(), options_.validation_percent, options_.test_percent);
    if (options_.classes.empty()) options_.classes = part_.usual;
    std::set<std::string> seen;
    for (const std::string& label : options_.classes) {
      if (std::find(part_.classes.begin(), part_.classes.end(), label) == part_.classes.end())
        fail_config("task {}: unknown class '{}'{}", name(), label, known_names(label, part_.classes));
      if (!seen.insert(label).second) fail_config("task {}: class '{}' is listed twice", name(), label);
    }
    if (seen.size() < 2) fail_config("task {}: one class alone leaves nothing to learn", name());
  }

  std::string name() const override { return "wordnet/lexname"; }
  std::vector<std::string> labels() const override { return options_.classes; }
  std::vector<std::string> splits() const override { return {"train", "validation", "test"}; }

  std::vector<TextExample> load(const std::string& split) const override {
    check_split(split);
    std::vector<std::vector<Synset>> by_class(options_.classes.size());
    for (Synset& synset : read(split)) {
      const auto at = class_of(synset);
      by_class[at].push_back(std::move(synset));
    }
    std::size_t rarest = by_class.front().size();
    for (std::size_t i = 0; i < by_class.size(); ++i) {
      if (by_class[i].empty())
        fail("task {}: split {} of {} has no row of class '{}'", name(), split, file(), options_.classes[i]);
      rarest = std::min(rarest, by_class[i].size());
    }
    return chosen(std::move(by_class), rarest, split);
  }

 private:
  std::string file() const { return fmt::format("{}/data.{}", options_.path, options_.part); }

  // Index among options_.classes, or their number.
  std::size_t class_of(const Synset& synset) const {
    const int number = synset.lex_filenum - part_.first;
    if (number < 0 || number >= static_cast<int>(part_.classes.size())) return options_.classes.size();
    const auto& classes = options_.classes;
    return static_cast<std::size_t>(
        std::find(classes.begin(), classes.end(), part_.classes[static_cast<std::size_t>(number)]) -
        classes.begin());
  }

  std::string split_of(std::uint64_t hash) const {
    const auto percentile = static_cast<int>(hash % 100);
    if (percentile < options_.test_percent) return "test";
    return percentile < options_.test_percent + options_.validation_percent ? "validation" : "train";
  }

  std::int64_t max_rows(const std::string& split) const {
    if (split == "train") return options_.max_train;
    return split == "validation" ? options_.max_validation : options_.max_test;
  }

  // The synsets of the split and of the wanted classes, by hash.
  std::vector<Synset> read(const std::string& split) const {
    if (!std::filesystem::exists(file()))
      fail_config(
          "task {}: {} is not there; install Debian's package wordnet-base, or set path to a WordNet folder",
          name(), file());
    std::vector<Synset> synsets;
    std::unordered_set<std::string> seen;
    for_each_line(file(), [&](std::string_view line, std::size_t number) {
      if (line.starts_with("  ")) return;
      Synset synset = parse_synset(line, fmt::format("{}:{}", file(), number));
      if (!seen.insert(synset.gloss).second) return;
      synset.hash = stable_hash(options_.part + ":" + synset.offset);
      if (split_of(synset.hash) == split && class_of(synset) < options_.classes.size())
        synsets.push_back(std::move(synset));
    });
    // The low digits of the hash made the split, so that the order within it goes by the whole value.
    std::sort(synsets.begin(), synsets.end(),
              [](const Synset& a, const Synset& b) { return a.hash < b.hash; });
    return synsets;
  }

  std::vector<TextExample> chosen(std::vector<std::vector<Synset>> by_class, std::size_t rarest,
                                  const std::string& split) const {
    std::vector<Synset> all;
    const auto limit = static_cast<std::size_t>(max_rows(split));
    const std::size_t share = limit == 0 ? rarest : std::min(rarest, limit / by_class.size());
    if (options_.balanced && share == 0)
      fail_config("task {}: max_{} = {} is less than one row for each of {} classes", name(), split, limit,
                  by_class.size());
    for (auto& synsets : by_class) {
      if (options_.balanced) synsets.resize(share);
      std::move(synsets.begin(), synsets.end(), std::back_inserter(all));
    }
    std::sort(all.begin(), all.end(), [](const Synset& a, const Synset& b) { return a.hash < b.hash; });
    if (limit > 0 && all.size() > limit) all.resize(limit);
    std::vector<TextExample> examples;
    for (const Synset& synset : all) examples.push_back(to_text(synset));
    return examples;
  }

  TextExample to_text(const Synset& synset) const {
    TextExample example;
    example.input = "definition: " + synset.gloss;
    if (options_.words) example.input += " word: " + synset.word;
    example.target = options_.classes[class_of(synset)];
    example.id = options_.part + "/" + synset.offset;
    return example;
  }

  LexnameOptions options_;
  Part part_;
};

}  // namespace

std::unique_ptr<Task> make_lexname(LexnameOptions options) {
  return std::make_unique<Lexname>(std::move(options));
}

}  // namespace trimtab
