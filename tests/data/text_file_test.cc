// SPDX-License-Identifier: Apache-2.0
#include "data/text_file.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include "data/temp_folder.h"
#include "data/utf8.h"
#include "data/zip_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string little_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

// A zip file with one stored member "words.txt" and a folder.
std::string small_zip(std::string_view text, std::uint32_t method = 0) {
  const auto crc = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
  const auto size = static_cast<std::uint32_t>(text.size());
  const auto common = [&](const std::string& name, std::uint32_t sum, std::uint32_t bytes,
                          std::uint32_t how) {
    return little_endian(20, 2) + little_endian(0, 2) + little_endian(how, 2) + little_endian(0, 4) +
           little_endian(sum, 4) + little_endian(bytes, 4) + little_endian(bytes, 4) +
           little_endian(static_cast<std::uint32_t>(name.size()), 2) + little_endian(0, 2);
  };
  const auto central = [&](const std::string& name, std::uint32_t sum, std::uint32_t bytes, std::uint32_t how,
                           std::uint32_t offset) {
    return "PK\x01\x02" + little_endian(20, 2) + common(name, sum, bytes, how) + little_endian(0, 2) +
           little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 4) + little_endian(offset, 4) + name;
  };
  std::string zip = "PK\x03\x04" + common("in/", 0, 0, 0) + "in/";
  const auto second = static_cast<std::uint32_t>(zip.size());
  zip += "PK\x03\x04" + common("in/words.txt", crc, size, method) + "in/words.txt" + std::string(text);
  const auto start = static_cast<std::uint32_t>(zip.size());
  zip += central("in/", 0, 0, 0, 0) + central("in/words.txt", crc, size, method, second);
  const auto directory = static_cast<std::uint32_t>(zip.size()) - start;
  return zip + "PK\x05\x06" + little_endian(0, 4) + little_endian(2, 2) + little_endian(2, 2) +
         little_endian(directory, 4) + little_endian(start, 4) + little_endian(0, 2);
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
