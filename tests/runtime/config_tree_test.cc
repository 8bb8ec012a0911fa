// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_tree.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime/config_fixture.h"

namespace trimtab {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Kind = ConfigNode::Kind;

std::string error_of(const std::string& text) {
  return config_error([&] { parse_yaml(text, "run.yaml"); });
}

TEST(ConfigTree, KnowsKindsAndPlaces) {
  const ConfigNode root = parse_yaml("a: 1\nb:\n  c: 'x'\n  d: [1, ~]\n", "run.yaml");
  EXPECT_EQ(root.find("a")->text, "1");
  EXPECT_FALSE(root.find("a")->quoted);
  const ConfigNode& b = *root.find("b");
  EXPECT_EQ(b.kind, Kind::kMap);
  EXPECT_EQ(b.place, "run.yaml:2") << "where the key is, not where the section's first line is";
  EXPECT_TRUE(b.find("c")->quoted);
  EXPECT_EQ(b.find("c")->place, "run.yaml:3");
  EXPECT_EQ(b.find("d")->items[1].kind, Kind::kNull);
  EXPECT_EQ(b.find("e"), nullptr);
}

TEST(ConfigTree, RefusesWhatYamlLibrariesLetPass) {
  EXPECT_EQ(error_of("a: 1\nb: \"x\xff\"\n"), "run.yaml:2: b: the text is no UTF-8");
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"),
            "run.yaml:3: a: the key is given twice; the first is at run.yaml:1");
  EXPECT_EQ(error_of("t:\n  x: 1\n  x: 1\n"),
            "run.yaml:3: t.x: the key is given twice; the first is at run.yaml:2");
  EXPECT_EQ(error_of("t: {x: 1, x: 2}"),
            "run.yaml:1: t.x: the key is given twice; the first is at run.yaml:1");
  EXPECT_EQ(error_of("l:\n- {x: 1, x: 2}"),
            "run.yaml:2: l.0.x: the key is given twice; the first is at run.yaml:2");
  EXPECT_EQ(error_of("[a, b]: 1"), "run.yaml:1: keys must be plain text");
  EXPECT_EQ(error_of("t: {null: 1}"), "run.yaml:1: t: keys must be plain text");
  EXPECT_EQ(error_of("a: !!int 3"), "run.yaml:1: a: tags (tag:yaml.org,2002:int) are not used here");
  EXPECT_EQ(error_of("b: &b {x: 1}\na:\n  <<: *b\n"),
            "run.yaml:3: a.<<: merge keys are not used here; write the keys out");
}

TEST(ConfigTree, RefusesWhatIsNoDocument) {
  EXPECT_EQ(error_of(""), "run.yaml: is empty; expected sections of settings");
  EXPECT_EQ(error_of("# only a comment\n\n"), "run.yaml: is empty; expected sections of settings");
  EXPECT_EQ(error_of("---\n"), "run.yaml: is empty; expected sections of settings");
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n"),
            "run.yaml: holds 2 YAML documents; expected one (remove the '---' lines)");
  EXPECT_EQ(error_of("- a\n- b\n"), "run.yaml:1: expected sections of settings (key: value), found a list");
  EXPECT_EQ(error_of("just words"),
            "run.yaml:1: expected sections of settings (key: value), found the text 'just words'");
  EXPECT_EQ(error_of(std::string("a: \0b", 5)), "run.yaml: is not a text file; expected YAML");
}

TEST(ConfigTree, SyntaxErrorsHaveALine) {
  EXPECT_THAT(error_of("a: 1\nb: [1, 2\nc: 3\n"), StartsWith("run.yaml:3: malformed YAML at column "));
  EXPECT_THAT(error_of("a: 1\n b: 2\n"), StartsWith("run.yaml:2: malformed YAML at column "));
  EXPECT_THAT(error_of("a:\n\tb: 1\n"), StartsWith("run.yaml:2: malformed YAML at column "));
  EXPECT_THAT(error_of("a: *nobody\n"), StartsWith("run.yaml:1: malformed YAML at column "));
  EXPECT_EQ(error_of(", a: 1"), "run.yaml:1: malformed YAML at column 1: nothing can stand here")
      << "yaml-cpp would go round in circles";
  EXPECT_THAT(error_of("a: 1\n}\nb: 2\n"), StartsWith("run.yaml:2: "));
}

// yaml-cpp would make all that follows part of the text.
TEST(ConfigTree, OpenQuotesAreFound) {
  const std::string tail = ": malformed YAML: a quote that is opened here is not closed";
  EXPECT_EQ(error_of("a: 1\nb: \"open\n"), "run.yaml:2" + tail);
  EXPECT_EQ(error_of("a: 1\nb: \"two\n  lines\"\nc: 'open\nd: 1\ne: 2\n"), "run.yaml:4" + tail);
  EXPECT_EQ(error_of("a: \"open"), "run.yaml:1: malformed YAML at column 9: illegal EOF in scalar");
  EXPECT_EQ(to_flow(parse_yaml("a: \"two\n  lines\"\nb: it's \"fine\"\nc: |\n  \"text\n", "run.yaml")),
            R"({a: "two lines", b: "it's \"fine\"", c: "\"text\n"})");
}

TEST(ConfigTree, DocumentsThatExplodeAreRefused) {
  EXPECT_THAT(error_of("a: &x [*x]\n"), HasSubstr("run.yaml:1: "));
  std::string doubling = "l0: &l0 [1, 1]\n";
  for (int i = 1; i < 40; ++i) doubling += fmt::format("l{}: &l{} [*l{}, *l{}]\n", i, i, i - 1, i - 1);
  EXPECT_THAT(error_of(doubling), HasSubstr("the document is nested too deeply or is too large"));
}

TEST(ConfigTree, AliasesAreCopies) {
  const ConfigNode root = parse_yaml("a: &x [1, 2]\nb: *x\n", "run.yaml");
  EXPECT_EQ(to_flow(*root.find("b")), "[1, 2]");
}

TEST(ConfigTree, FilesThatCannotBeRead) {
  EXPECT_EQ(config_error([] { read_yaml_file("/no/such.yaml"); }),
            "/no/such.yaml: cannot open the file: No such file or directory");
  EXPECT_EQ(config_error([] { read_yaml_file("/proc/self"); }),
            "/proc/self: is a folder; expected a YAML file");
  const auto path = std::filesystem::path(testing::TempDir()) / "trimtab_config_tree_test.yaml";
  std::ofstream(path) << "a: 1\r\nb: 2\r\n";
  EXPECT_EQ(read_yaml_file(path.string()).find("b")->place, path.string() + ":2");
  std::filesystem::remove(path);
}

TEST(Override, SetsCreatesAndReplaces) {
  ConfigNode root = parse_yaml("a: 1\nb: {c: 2, l: [1, {d: 3}]}\n", "run.yaml");
  for (const char* assignment :
       {"a=5", "b.c=[x, y]", "b.l.1.d=1e-3", "new.section.key='12'", "b.e=p=q", "t={u: v}"})
    apply_override(root, assignment);
  EXPECT_EQ(to_yaml(root),
            "a: 5\n"
            "b:\n"
            "  c: [x, y]\n"
            "  l:\n"
            "    - 1\n"
            "    - d: 1e-3\n"
            "  e: \"p=q\"\n"
            "new:\n"
            "  section:\n"
            "    key: \"12\"\n"
            "t:\n"
            "  u: v\n");
  EXPECT_EQ(root.find("a")->place, "--set");
  EXPECT_EQ(root.find("new")->place, "--set");
  apply_override(root, "a=");
  EXPECT_EQ(root.find("a")->kind, Kind::kNull);
}

TEST(Override, ASectionSetsWhatItNames) {
  const auto after = [](const std::string& assignment) {
    ConfigNode root = parse_yaml("s: {a: 1, b: {c: 2, d: 3}, l: [1, 2]}\nm: {name: x, a: 1}\n", "run.yaml");
    apply_override(root, assignment);
    return to_flow(root);
  };
  EXPECT_EQ(after("s={a: 5, e: 6}"), "{s: {a: 5, b: {c: 2, d: 3}, l: [1, 2], e: 6}, m: {name: x, a: 1}}");
  EXPECT_EQ(after("s={b: {c: 5}, l: [3]}"), "{s: {a: 1, b: {c: 5, d: 3}, l: [3]}, m: {name: x, a: 1}}");
  EXPECT_EQ(after("s={}"), "{s: {}, m: {name: x, a: 1}}");
  EXPECT_EQ(after("s="), "{s: null, m: {name: x, a: 1}}");
  EXPECT_EQ(after("m={b: 2}"), "{s: {a: 1, b: {c: 2, d: 3}, l: [1, 2]}, m: {name: x, a: 1, b: 2}}");
  EXPECT_EQ(after("m={name: y, b: 2}"), "{s: {a: 1, b: {c: 2, d: 3}, l: [1, 2]}, m: {name: y, b: 2}}")
      << "options of x are none of y's";
}

TEST(Override, SaysWhatIsWrong) {
  const auto error = [](const std::string& assignment) {
    return config_error([&] {
      ConfigNode root = parse_yaml("a: 1\nl: [1, 2]\n", "run.yaml");
      apply_override(root, assignment);
    });
  };
  EXPECT_EQ(error("a"), "--set: expected key=value, as in optimizer.learning_rate=0.1, found 'a'");
  EXPECT_EQ(error("=1"), "--set: expected key=value, as in optimizer.learning_rate=0.1, found '=1'");
  EXPECT_EQ(error("b..c=1"), "--set: b..c: the key has an empty part");
  EXPECT_EQ(error("b.=1"), "--set: b.: the key has an empty part");
  EXPECT_EQ(error("a.b=1"), "--set: a.b: a holds the number 1, hence has no key 'b'");
  EXPECT_EQ(error("l.2=1"), "--set: l.2: expected an index below 2 into the list l, found '2'");
  EXPECT_EQ(error("l.x=1"), "--set: l.x: expected an index below 2 into the list l, found 'x'");
  EXPECT_EQ(error("a={x: 1, x: 2}"), "--set: a.x: the key is given twice; the first is at --set");
  EXPECT_EQ(error("a=\"x\n"), "--set: a: a quote is not closed in '\"x\n'");
  EXPECT_THAT(error("a=[1"), StartsWith("--set: a: malformed YAML at column "));
  EXPECT_THAT(error("a=[1"), testing::EndsWith("; put text in quotes"));
}

TEST(Print, TextIsQuotedWhenItWouldReadAsSomethingElse) {
  for (const std::string& text : std::vector<std::string>{"plain",
                                                          "with space",
                                                          "",
                                                          "12",
                                                          "1e3",
                                                          "08",
                                                          "0x10",
                                                          "true",
                                                          "null",
                                                          "~",
                                                          "yes",
                                                          "no",
                                                          "a: b",
                                                          "#x",
                                                          "- a",
                                                          "-",
                                                          "'",
                                                          "\"",
                                                          "a\\b",
                                                          "line\nbreak",
                                                          "tab\t",
                                                          "\x01\x7f",
                                                          "größe ☃",
                                                          "[1]",
                                                          "{a}",
                                                          "*x",
                                                          "&x",
                                                          "!x",
                                                          "%x",
                                                          "@x",
                                                          "a,b",
                                                          ".inf",
                                                          "---",
                                                          "...",
                                                          " lead",
                                                          "trail ",
                                                          "path/to-file_1.h5",
                                                          "?",
                                                          ":",
                                                          "a:",
                                                          "<<",
                                                          "1_000"}) {
    ConfigNode root = ConfigNode::map();
    root.add("block", ConfigNode::string(text));
    root.add("list", ConfigNode::list()).items.push_back(ConfigNode::string(text));
    for (const std::string& printed : {to_yaml(root), to_json(root), to_flow(root)}) {
      const ConfigNode again = parse_yaml(printed, "printed");
      EXPECT_EQ(again.find("block")->text, text) << printed;
      EXPECT_EQ(again.find("list")->items[0].text, text) << printed;
      std::string out, remedy;
      EXPECT_TRUE(parse_scalar(*again.find("block"), out, remedy)) << printed;
    }
  }
  EXPECT_EQ(to_flow(ConfigNode::string("path/to-file_1.h5")), "path/to-file_1.h5") << "no needless quotes";
}

TEST(Print, NumbersReadBackToTheSameValue) {
  for (const double value : {0.0, -0.0, 1.0, 0.1, 1e-5, 1e300, 5e-324, 1.0 / 3, -2.5e-10, 30000.0, 1e22}) {
    double out = 7;
    std::string remedy;
    ASSERT_TRUE(parse_scalar(ConfigNode::number(value), out, remedy)) << value << " " << remedy;
    EXPECT_EQ(out, value);
  }
  EXPECT_THROW(ConfigNode::number(1.0 / 0.0), Error);
}

TEST(Print, Json) {
  const ConfigNode root =
      parse_yaml("a: +3\nb: .5\nc: '5'\nd: true\ne: ~\nf: [1, 2]\ng: {}\nh: [{x: 1}]\ni: abc\n", "x");
  EXPECT_EQ(to_json(root), R"({
  "a": 3,
  "b": 0.5,
  "c": "5",
  "d": true,
  "e": null,
  "f": [1, 2],
  "g": {},
  "h": [
    {
      "x": 1
    }
  ],
  "i": "abc"
}
)");
}

}  // namespace
}  // namespace trimtab
