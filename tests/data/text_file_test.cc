// SPDX-License-Identifier: Apache-2.0
#include "data/text_file.h"

#include <gmock/gmock.h>

#include "data/packed.h"
#include "data/temp_folder.h"
#include "data/zip_file.h"
#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A zip file with one stored member and a folder.
std::string small_zip(const std::string& text, std::uint32_t method = 0) {
  return stored_zip({{"in/", ""}, {"in/words.txt", text}}, method);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    lines.push_back(std::to_string(number) + ":" + std::string(line));
  });
  return lines;
}

TEST(TextFile, LinesWithoutMarksAndLineEnds) {
  const TempFolder folder;
  EXPECT_THAT(lines_of(folder.write("a.txt", "\xEF\xBB\xBFone\r\n\ntwo\nlast")),
              ElementsAre("1:one", "2:", "3:two", "4:last"));
  EXPECT_THAT(lines_of(folder.write("b.txt", "one\n")), ElementsAre("1:one"));
}

TEST(TextFile, GzipIsKnownByContentAndMayBeConcatenated) {
  const TempFolder folder;
  EXPECT_THAT(lines_of(folder.write("plain-name", gzip("one\n") + gzip("two\n"))),
              ElementsAre("1:one", "2:two"));
  EXPECT_THAT(lines_of(folder.write("name.gz", "not packed\n")), ElementsAre("1:not packed"));
}

TEST(TextFile, CutGzipIsAnError) {
  const TempFolder folder;
  const std::string packed = gzip("one two three four five six seven\n");
  const std::string cut = folder.write("cut.gz", packed.substr(0, packed.size() - 6));
  EXPECT_THAT(message_of<Error>([&] { read_unpacked(cut); }),
              AllOf(HasSubstr(cut), HasSubstr("damaged or cut gzip")));
  std::string wrong = packed;
  wrong[packed.size() - 6] ^= 1;  // in the checksum
  const std::string damaged = folder.write("damaged.gz", wrong);
  EXPECT_THAT(message_of<Error>([&] { read_unpacked(damaged); }), HasSubstr("damaged or cut gzip"));
}

TEST(TextFile, MissingEmptyAndFolder) {
  const TempFolder folder;
  EXPECT_THAT(message_of<Error>([&] { lines_of(folder.file("none")); }),
              AllOf(HasSubstr(folder.file("none")), HasSubstr("No such file")));
  EXPECT_THAT(message_of<Error>([&] { lines_of(folder.write("empty", "")); }),
              HasSubstr("the file is empty"));
  EXPECT_THAT(message_of<Error>([&] { lines_of(folder.path()); }), HasSubstr("is a folder"));
}

TEST(TextFile, Utf8) {
  EXPECT_FALSE(find_invalid_utf8("plain \xC3\xA4 \xE2\x96\x81 \xF0\x9F\x99\x82"));
  EXPECT_EQ(find_invalid_utf8("ab\xE4"), 2u);            // Latin-1
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0u);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xE0\x9F\xBF"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("x\xED\xA0\x80"), 1u);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xE2\x96"), 0u);          // cut
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("a\xFF\xE2\x96"), "a" + bad + bad);  // one for what was cut
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x99z"), bad + "z");        // also before more text
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), bad + bad + bad);   // no part of a sequence
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\xE0\x80"), bad + bad + bad + bad + bad);
}

TEST(TextFile, InvalidUtf8NamesFileAndLine) {
  const TempFolder folder;
  const std::string path = folder.write("latin1.txt", "good\nna\xEFve\n");
  EXPECT_THAT(message_of<Error>([&] { lines_of(path); }),
              AllOf(HasSubstr(path + ":2: byte 0xef at column 3"), HasSubstr("iconv")));
  std::vector<std::string> lines;
  for_each_line(
      TextFile{path, read_bytes(path)}, [&](std::string_view line, std::size_t) { lines.emplace_back(line); },
      InvalidUtf8::kReplace);
  EXPECT_THAT(lines, ElementsAre("good", "na\xEF\xBF\xBDve"));
}

TEST(ZipFile, MembersWithoutFolders) {
  const TempFolder folder;
  const std::string path = folder.write("words.zip", small_zip("hello\n"));
  const std::vector<TextFile> files = read_texts(path);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].name, path + ":in/words.txt");
  EXPECT_EQ(files[0].text, "hello\n");
}

TEST(ZipFile, OneMemberAlone) {
  const std::string zip = stored_zip({{"a/rows", "one"}, {"b/rows", "two"}, {"b/more", "three"}});
  const auto found = unzip_member("x.zip", zip, [](std::string_view name) { return name.starts_with("b/"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "x.zip:b/rows");
  EXPECT_EQ(found->text, "two");
  EXPECT_FALSE(unzip_member("x.zip", zip, [](std::string_view name) { return name == "rows"; }));
}

TEST(ZipFile, DamageIsAnError) {
  const std::string good = small_zip("hello\n");
  EXPECT_THAT(message_of<Error>([&] { unzip("x.zip", good.substr(0, good.size() - 10)); }),
              HasSubstr("x.zip: damaged or cut zip file: no end record"));
  std::string changed = good;
  changed[good.find("hello")] = 'j';
  EXPECT_THAT(message_of<Error>([&] { unzip("x.zip", changed); }),
              HasSubstr("x.zip:in/words.txt: damaged zip member"));
  EXPECT_THAT(message_of<Error>([&] { unzip("x.zip", small_zip("hello\n", 12)); }),
              HasSubstr("zip method 12"));
  EXPECT_THAT(message_of<Error>([&] { unzip("x.zip", small_zip("hello\n", 8)); }),
              HasSubstr("damaged zip member"));
}

}  // namespace
}  // namespace trimtab
