// SPDX-License-Identifier: Apache-2.0
#include "experiments/grid.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

using Kind = ConfigNode::Kind;

struct Setting {
  std::string text;  // as `exclude` names it
  std::string label;
  std::vector<Assignment> set;
};

struct Axis {
  std::string key;
  std::string label;
  std::string place;
  bool speaks_for_itself = false;  // in run names: "prompt_tuning", not "method=prompt_tuning"
  std::vector<Setting> settings;
};

using Axes = std::vector<Axis>;

std::string last_part(std::string_view text, char separator) {
  const std::size_t at = text.rfind(separator);
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

// Of a path or a task the part that is its own, without what a shell or a folder would trip over.
std::string short_text(std::string text) {
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
  std::string out;
  for (const char c : last_part(text, '/')) {
    if (kPlain.find(c) != std::string_view::npos)
      out += c;
    else if (!out.empty() && out.back() != '_')
      out += '_';
  }
  while (out.ends_with('_')) out.pop_back();
  return out;
}

std::string text_of(const ConfigNode& value) {
  return value.kind == Kind::kScalar ? value.text : to_flow(value);
}

Setting named_setting(const ConfigNode& item, const std::string& axis) {
  const std::string form = fmt::format("{}: a named setting is {{name: ..., set: [key=value, ...]}}", axis);
  for (const std::string& key : item.keys)
    if (key != "name" && key != "set") fail_config("{}: {}, found the key '{}'", item.place, form, key);
  const ConfigNode* name = item.find("name");
  const ConfigNode* set = item.find("set");
  if (name == nullptr || name->kind != Kind::kScalar || set == nullptr || set->kind != Kind::kList)
    fail_config("{}: {}", item.place, form);
  Setting out{name->text, name->text, {}};
  for (const ConfigNode& one : set->items) out.set.push_back(parse_assignment(text_of(one), one.place));
  return out;
}

Axis read_axis(const std::string& key, const ConfigNode& list) {
  if (list.kind != Kind::kList || list.items.empty())
    fail_config("{}: grid: {}: expected a list of settings, found {}", list.place, key,
                list.kind == Kind::kList ? "an empty one" : describe_found(list));
  Axis out{key, last_part(key, '.'), list.place, false, {}};
  constexpr std::string_view kName = ".name";
  if (key.ends_with(kName)) {
    out.label = last_part(std::string_view(key).substr(0, key.size() - kName.size()), '.');
    out.speaks_for_itself = true;
  }
  for (const ConfigNode& item : list.items) {
    if (item.kind == Kind::kNull || (item.kind == Kind::kMap) != (list.items[0].kind == Kind::kMap))
      fail_config("{}: grid: {}: expected values, or else sections with name and set, found {}", item.place,
                  key, describe_found(item));
    if (item.kind == Kind::kMap) {
      out.settings.push_back(named_setting(item, key));
    } else {
      out.settings.push_back({text_of(item), short_text(text_of(item)), {{key, item}}});
    }
  }
  return out;
}

Axes read_axes(const ConfigNode& map) {
  if (map.kind != Kind::kMap)
    fail_config("{}: grid: expected axes (key: [settings]), or a list of such sections, found {}", map.place,
                describe_found(map));
  Axes out;
  for (std::size_t i = 0; i < map.keys.size(); ++i) out.push_back(read_axis(map.keys[i], map.items[i]));
  std::map<std::string, int> owners;  // of labels
  for (const Axis& axis : out) ++owners[axis.label];
  for (Axis& axis : out)
    if (owners[axis.label] > 1) axis.label = axis.key;
  return out;
}

struct Rule {
  std::vector<std::pair<std::string, std::vector<std::string>>> wanted;  // axis and settings
};

std::vector<std::string> texts_of(const ConfigNode& node) {
  if (node.kind != Kind::kList) return {text_of(node)};
  std::vector<std::string> out;
  for (const ConfigNode& item : node.items) out.push_back(text_of(item));
  return out;
}

// Every axis and setting that a rule names must be there: a rule with a slip of the pen excludes nothing.
void check_known(const std::string& axis, const ConfigNode& values, const std::vector<Axes>& grids) {
  std::vector<std::string> axes, settings;
  for (const Axes& grid : grids)
    for (const Axis& one : grid) {
      axes.push_back(one.key);
      if (one.key != axis) continue;
      for (const Setting& setting : one.settings) settings.push_back(setting.text);
    }
  if (settings.empty())
    fail_config("{}: exclude: the grid has no axis {}{}", values.place, axis, did_you_mean(axis, axes));
  for (const std::string& text : texts_of(values))
    if (std::ranges::find(settings, text) == settings.end())
      fail_config("{}: exclude: the axis {} has no setting '{}'; it has {}", values.place, axis, text,
                  fmt::join(settings, ", "));
}

std::vector<Rule> read_rules(const ConfigNode& exclude, const std::vector<Axes>& grids) {
  std::vector<Rule> out;
  if (exclude.kind == Kind::kNull) return out;
  if (exclude.kind != Kind::kList)
    fail_config("{}: exclude: expected a list of sections such as {{method.length: 1}}, found {}",
                exclude.place, describe_found(exclude));
  for (const ConfigNode& map : exclude.items) {
    if (map.kind != Kind::kMap || map.keys.empty())
      fail_config("{}: exclude: expected axes with a setting or a list of them, found {}", map.place,
                  describe_found(map));
    Rule& rule = out.emplace_back();
    for (std::size_t i = 0; i < map.keys.size(); ++i) {
      check_known(map.keys[i], map.items[i], grids);
      rule.wanted.emplace_back(map.keys[i], texts_of(map.items[i]));
    }
  }
  return out;
}

using Choice = std::vector<std::size_t>;  // a setting of each axis

bool matches(const Rule& rule, const Axes& axes, const Choice& choice) {
  return std::ranges::all_of(rule.wanted, [&](const auto& wanted) {
    const auto axis = std::ranges::find(axes, wanted.first, &Axis::key);
    if (axis == axes.end()) return false;
    const auto at = static_cast<std::size_t>(axis - axes.begin());
    return std::ranges::find(wanted.second, axis->settings[choice[at]].text) != wanted.second.end();
  });
}

// A section may be chosen first and refined by a later axis, not the other way round.
void check_no_conflict(const RunSettings& run, const std::vector<const Axis*>& owners) {
  for (std::size_t later = 0; later < run.set.size(); ++later)
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const std::string &a = run.set[earlier].key, &b = run.set[later].key;
      if (owners[earlier] == owners[later] || (a != b && !a.starts_with(b + "."))) continue;
      fail_config("{}: grid: the axes {} and {} conflict: {} sets {}, and then {} sets {}",
                  owners[later]->place, owners[earlier]->key, owners[later]->key, owners[earlier]->key, a,
                  owners[later]->key, b);
    }
}

RunSettings run_of(const Axes& axes, const Choice& choice) {
  RunSettings out;
  std::vector<const Axis*> owners;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Axis& axis = axes[i];
    const Setting& setting = axis.settings[choice[i]];
    if (!out.name.empty()) out.name += ",";
    out.name += axis.speaks_for_itself ? setting.label : axis.label + "=" + setting.label;
    out.labels.emplace_back(axis.label, setting.label);
    out.set.insert(out.set.end(), setting.set.begin(), setting.set.end());
    owners.insert(owners.end(), setting.set.size(), &axis);
  }
  check_no_conflict(out, owners);
  check_run_name(out.name, axes.front().place);
  return out;
}

// Counts up, the last axis fastest. False after the last combination.
bool advance(const Axes& axes, Choice& choice) {
  for (std::size_t i = axes.size(); i-- > 0;) {
    if (++choice[i] < axes[i].settings.size()) return true;
    choice[i] = 0;
  }
  return false;
}

}  // namespace

std::vector<RunSettings> expand_grid(const ConfigNode& grid, const ConfigNode& exclude) {
  std::vector<Axes> grids;
  if (grid.kind == Kind::kList) {
    for (const ConfigNode& map : grid.items) grids.push_back(read_axes(map));
  } else {
    grids.push_back(read_axes(grid));
  }
  const std::vector<Rule> rules = read_rules(exclude, grids);
  std::vector<RunSettings> out;
  for (const Axes& axes : grids) {
    if (axes.empty()) continue;
    Choice choice(axes.size(), 0);
    do {
      if (std::ranges::none_of(rules, [&](const Rule& rule) { return matches(rule, axes, choice); }))
        out.push_back(run_of(axes, choice));
    } while (advance(axes, choice));
  }
  if (out.empty()) fail_config("{}: grid: no run is left", grid.place);
  return out;
}

void check_run_name(const std::string& name, const std::string& place) {
  constexpr std::size_t kLongest = 200;
  const bool bad_letter =
      std::ranges::any_of(name, [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20; });
  if (name.empty() || name.starts_with('.') || bad_letter || name.size() > kLongest)
    fail_config("{}: the run name '{}' is to be that of a folder: up to {} letters, no '/', no '.' in front",
                place, name, kLongest);
  if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
    fail_config("{}: the run name '{}' is a number, which --run takes for a position; put a letter to it",
                place, name);
}

}  // namespace trimtab
