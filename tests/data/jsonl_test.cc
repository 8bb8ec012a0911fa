// SPDX-License-Identifier: Apache-2.0
#include "data/jsonl.h"

#include <gmock/gmock.h>

#include "data/temp_folder.h"
#include "data/tsv.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> texts_of(const std::string& path, const std::string& field) {
  std::vector<std::string> all;
  for_each_json_row(path, [&](const JsonRow& row) { all.push_back(row.text(field)); });
  return all;
}

std::string json_error(const std::string& text, const std::function<void(const JsonRow&)>& visit) {
  const TempFolder folder;
  const std::string path = folder.write("rows.jsonl", text);
  std::string message = message_of<Error>([&] { for_each_json_row(path, visit); });
  EXPECT_THAT(message, HasSubstr(path));
  return message.substr(folder.path().size() + 1);
}

TEST(Jsonl, ReadsRowsAndSkipsBlankLines) {
  const TempFolder folder;
  const std::string path = folder.write("rows.jsonl", "{\"a\": \"one\"}\n\n  \n{\"a\": \"zw\\u00f6lf\"}\n");
  EXPECT_THAT(texts_of(path, "a"), ElementsAre("one", "zw\xC3\xB6lf"));
}

TEST(Jsonl, PrintsScalarsAsT5Does) {
  const TempFolder folder;
  const std::string path = folder.write(
      "rows.jsonl", "{\"b\": true, \"i\": 3, \"s\": \"x\", \"l\": [\"p\", false], \"n\": null}\n");
  for_each_json_row(path, [&](const JsonRow& row) {
    EXPECT_EQ(row.printed("b"), "True");
    EXPECT_EQ(row.printed("i"), "3");
    EXPECT_THAT(row.texts("l"), ElementsAre("p", "False"));
    EXPECT_THAT(row.texts("s"), ElementsAre("x"));
    EXPECT_THAT(message_of<Error>([&] { row.printed("n"); }), HasSubstr("but is null"));
    EXPECT_THAT(message_of<Error>([&] { row.text("i"); }), HasSubstr("should be a string, but is number"));
  });
}

TEST(Jsonl, ErrorsNameFileAndLine) {
  const auto nothing = [](const JsonRow&) {};
  EXPECT_THAT(json_error("{\"a\": 1}\n{\"a\": 1\n", nothing), HasSubstr("rows.jsonl:2: no JSON:"));
  EXPECT_THAT(json_error("[1, 2]\n", nothing),
              HasSubstr("rows.jsonl:1: should be a JSON object, but is array"));
  EXPECT_THAT(json_error("", nothing), HasSubstr("rows.jsonl: the file is empty"));
  EXPECT_THAT(json_error("\n\n", nothing), HasSubstr("rows.jsonl: the file has no rows"));
  EXPECT_THAT(json_error("{\"b\": 1, \"c\": 2}\n", [](const JsonRow& row) { row.text("a"); }),
              AllOf(HasSubstr("rows.jsonl:1: field 'a' is missing"), HasSubstr("(the row has: b, c)")));
  EXPECT_THAT(json_error("{\"a\": []}\n", [](const JsonRow& row) { row.texts("a"); }),
              HasSubstr("empty list"));
}

TEST(Jsonl, AFieldThatIsThereTwiceIsAnError) {
  const auto ignore = [](const JsonRow&) {};
  EXPECT_THAT(json_error("{\"a\": 1}\n{\"a\": {\"b\": 1}, \"b\": 2, \"a\": 3}\n", ignore),
              HasSubstr("rows.jsonl:2: the field 'a' is there twice"));
}

TEST(Tsv, QuotesAreLiteral) {
  const TempFolder folder;
  const std::string path = folder.write("rows.tsv", "sentence\tlabel\n\"a b\" c \t0\n\n\t1\n");
  std::vector<std::string> all;
  for_each_tsv_row(path,
                   [&](const TsvRow& row) { all.push_back(row.text("sentence") + "|" + row.text("label")); });
  EXPECT_THAT(all, ElementsAre("\"a b\" c |0", "|1"));
}

TEST(Tsv, ErrorsNameFileAndLine) {
  const TempFolder folder;
  const std::string path = folder.write("rows.tsv", "a\tb\n1\t2\n1\t2\t3\n");
  EXPECT_THAT(message_of<Error>([&] { for_each_tsv_row(path, [](const TsvRow&) {}); }),
              HasSubstr(path + ":3: the row has 3 tab-separated fields, but the header has 2 (a, b)"));
  EXPECT_THAT(message_of<Error>([&] { for_each_tsv_row(path, [](const TsvRow& row) { row.text("c"); }); }),
              HasSubstr("column 'c' is missing (the header has: a, b)"));
  const std::string bare = folder.write("bare.tsv", "a\tb\n");
  EXPECT_THAT(message_of<Error>([&] { for_each_tsv_row(bare, [](const TsvRow&) {}); }),
              HasSubstr("has no rows"));
}

}  // namespace
}  // namespace trimtab
