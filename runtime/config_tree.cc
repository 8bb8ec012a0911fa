// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using Kind = ConfigNode::Kind;

// Copies yaml-cpp's tree into ours and refuses what it lets pass. Limits stop documents that refer to
// themselves (depth) or double with every line (count).
class Converter {
 public:
  explicit Converter(std::string file) : file_(std::move(file)) {}
  // For a text that is a part of a line: everything in it was written there.
  static Converter of_one_place(std::string place) {
    Converter out(std::move(place));
    out.has_lines_ = false;
    return out;
  }

  ConfigNode convert(const YAML::Node& node, std::string place, const std::string& path, int depth = 0) {
    constexpr int kDeepest = 64;
    constexpr std::size_t kMost = 1000000;
    if (depth > kDeepest || ++count_ > kMost)
      refuse(place, path, "the document is nested too deeply or is too large");
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(place, path, fmt::format("tags ({}) are not used here", tag));
    ConfigNode out;
    out.place = std::move(place);
    if (node.IsScalar()) {
      out.kind = Kind::kScalar;
      out.text = node.Scalar();
      if (find_invalid_utf8(out.text)) refuse(out.place, path, "the text is no UTF-8");
      out.quoted = tag == "!";
    } else if (node.IsSequence()) {
      out.kind = Kind::kList;
      for (const YAML::Node& item : node)
        out.items.push_back(
            convert(item, place_of(item), joined(path, fmt::format("{}", out.items.size())), depth + 1));
    } else if (node.IsMap()) {
      out.kind = Kind::kMap;
      for (const auto& entry : node) add_entry(out, entry.first, entry.second, path, depth);
    }
    return out;
  }

  std::string place_of(const YAML::Node& node) const { return place_of(node.Mark()); }
  std::string place_of(const YAML::Mark& mark) const {
    return !has_lines_ || mark.is_null() ? file_ : fmt::format("{}:{}", file_, mark.line + 1);
  }

 private:
  void add_entry(ConfigNode& map, const YAML::Node& key, const YAML::Node& value, const std::string& path,
                 int depth) {
    const std::string place = place_of(key);
    if (!key.IsScalar()) refuse(place, path, "keys must be plain text");
    const std::string here = joined(path, key.Scalar());
    if (const ConfigNode* first = map.find(key.Scalar()))
      refuse(place, here, fmt::format("the key is given twice; the first is at {}", first->place));
    if (key.Scalar() == "<<") refuse(place, here, "merge keys are not used here; write the keys out");
    // The place of an entry is that of its key: a section begins a line later, which is not where one looks.
    map.add(key.Scalar(), convert(value, place, here, depth + 1));
  }

  static std::string joined(const std::string& path, const std::string& key) {
    return path.empty() ? key : path + "." + key;
  }

  [[noreturn]] static void refuse(const std::string& place, const std::string& path,
                                  const std::string& message) {
    fail_config("{}: {}{}{}", place, path, path.empty() ? "" : ": ", message);
  }

  std::string file_;
  bool has_lines_ = true;
  std::size_t count_ = 0;
};

// Hears only where documents begin. yaml-cpp does not pass a stray ',' or ']', but finds an empty document in
// front of it again and again.
class DocumentsGoOn final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (mark.pos == last_) throw YAML::ParserException(mark, "nothing can stand here");
    last_ = mark.pos;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

 private:
  int last_ = -1;
};

std::vector<YAML::Node> load_all(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentsGoOn handler;
  while (parser.HandleNextDocument(handler)) {
  }
  return YAML::LoadAll(text);
}

// yaml-cpp takes a last line feed for the end of an open quote, which has then swallowed all sections behind
// it. A document mark inside quotes is an error to it, so one more document at the end tells.
bool closes_its_quotes(const std::string& text) {
  try {
    load_all(text + "\n---\nend\n");
    return true;
  } catch (const YAML::Exception&) {
    return false;
  }
}

// Counted from 1; of a text with an open quote the line behind the longest beginning that is complete.
std::size_t line_of_open_quote(const std::string& text) {
  std::size_t line = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (std::size_t end = text.size(); end != 0 && end != std::string::npos && line > 1; --line) {
    end = text.rfind('\n', end - 1);
    if (end == std::string::npos || closes_its_quotes(text.substr(0, end))) break;
  }
  return line;
}

std::vector<YAML::Node> documents(const std::string& text, const std::string& file) {
  std::vector<YAML::Node> all;
  try {
    all = load_all(text);
  } catch (const YAML::Exception& reason) {
    fail_config("{}: malformed YAML at column {}: {}", Converter(file).place_of(reason.mark),
                reason.mark.column + 1, reason.msg);
  }
  if (!closes_its_quotes(text))
    fail_config("{}:{}: malformed YAML: a quote that is opened here is not closed", file,
                line_of_open_quote(text));
  return all;
}

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

ConfigNode* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(key));
}

ConfigNode& ConfigNode::add(std::string key, ConfigNode value) {
  keys.push_back(std::move(key));
  return items.emplace_back(std::move(value));
}

ConfigNode ConfigNode::of(Kind kind) {
  ConfigNode node;
  node.kind = kind;
  return node;
}

ConfigNode ConfigNode::string(std::string_view text) {
  ConfigNode node = of(Kind::kScalar);
  node.text = text;
  node.quoted = true;
  return node;
}

ConfigNode ConfigNode::plain(std::string text) {
  ConfigNode node = of(Kind::kScalar);
  node.text = std::move(text);
  return node;
}

ConfigNode ConfigNode::number(double value) {
  TT_CHECK(std::isfinite(value), "{} has no place in a config; use an optional number", value);
  return plain(fmt::format("{}", value));
}

ConfigNode parse_yaml(const std::string& text, const std::string& file) {
  if (text.find('\0') != std::string::npos) fail_config("{}: is not a text file; expected YAML", file);
  const std::vector<YAML::Node> all = documents(text, file);
  if (all.size() > 1)
    fail_config("{}: holds {} YAML documents; expected one (remove the '---' lines)", file, all.size());
  if (all.empty() || all[0].IsNull()) fail_config("{}: is empty; expected sections of settings", file);
  Converter converter(file);
  ConfigNode root = converter.convert(all[0], converter.place_of(all[0]), "");
  if (root.kind != Kind::kMap)
    fail_config("{}: expected sections of settings (key: value), found {}", root.place, describe_found(root));
  return root;
}

ConfigNode read_yaml_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    fail_config("{}: is a folder; expected a YAML file", path);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_config("{}: cannot open the file: {}", path, std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) fail_config("{}: cannot read the file", path);
  return parse_yaml(text.str(), path);
}

namespace {

// The child that one part of a dotted key names, created in maps where it is missing.
ConfigNode& child(ConfigNode& node, std::string_view key, std::string_view path, const Assignment& whole) {
  const std::string& place = whole.value.place;
  if (node.kind == Kind::kList) {
    std::size_t index = 0;
    const auto result = std::from_chars(key.data(), key.data() + key.size(), index);
    if (result.ec != std::errc() || result.ptr != key.data() + key.size() || index >= node.items.size())
      fail_config("{}: {}: expected an index below {} into the list {}, found '{}'", place, whole.key,
                  node.items.size(), path, key);
    return node.items[index];
  }
  if (node.kind == Kind::kNull) {
    node.kind = Kind::kMap;
    node.place = place;
  }
  if (node.kind != Kind::kMap)
    fail_config("{}: {}: {} holds {}, hence has no key '{}'", place, whole.key, path, describe_found(node),
                key);
  if (ConfigNode* found = node.find(key)) return *found;
  return node.add(std::string(key), {});
}

void put(ConfigNode& node, const ConfigNode& value) {
  const bool merges = node.kind == Kind::kMap && value.kind == Kind::kMap && !value.items.empty() &&
                      value.find("name") == nullptr;
  if (!merges) {
    node = value;
    return;
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    ConfigNode* old = node.find(value.keys[i]);
    put(old != nullptr ? *old : node.add(value.keys[i], {}), value.items[i]);
  }
}

}  // namespace

Assignment parse_assignment(std::string_view text, const std::string& place) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    fail_config("{}: expected key=value, as in optimizer.learning_rate=0.1, found '{}'", place, text);
  Assignment out;
  out.key = text.substr(0, equals);
  const std::string value(text.substr(equals + 1));
  std::vector<YAML::Node> all;
  try {
    all = load_all(value);
  } catch (const YAML::Exception& reason) {
    fail_config("{}: {}: malformed YAML at column {} of '{}': {}; put text in quotes", place, out.key,
                reason.mark.column + 1, value, reason.msg);
  }
  if (!closes_its_quotes(value)) fail_config("{}: {}: a quote is not closed in '{}'", place, out.key, value);
  if (all.size() > 1) fail_config("{}: {}: expected one value, found '{}'", place, out.key, value);
  out.value = Converter::of_one_place(place).convert(all.empty() ? YAML::Node() : all[0], place, out.key);
  return out;
}

void assign(ConfigNode& root, const Assignment& assignment) {
  const std::string& whole = assignment.key;
  ConfigNode* node = &root;
  for (std::size_t begin = 0; begin <= whole.size();) {
    const std::size_t end = std::min(whole.find('.', begin), whole.size());
    if (end == begin) fail_config("{}: {}: the key has an empty part", assignment.value.place, whole);
    const std::string path = begin == 0 ? "" : whole.substr(0, begin - 1);
    node = &child(*node, std::string_view(whole).substr(begin, end - begin), path, assignment);
    begin = end + 1;
  }
  put(*node, assignment.value);
}

void apply_override(ConfigNode& root, std::string_view assignment) {
  assign(root, parse_assignment(assignment, "--set"));
}

}  // namespace trimtab
