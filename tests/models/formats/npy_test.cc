// SPDX-License-Identifier: Apache-2.0
#include "models/formats/npy.h"

#include "models/file_checks.h"

namespace trimtab {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::read_bytes;
using test::write_bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string npy(const std::string& header, const std::string& data, char major = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += {major, '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  if (major > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
}

std::string reading_fails(const std::string& bytes) {
  const Folder folder;
  write_bytes(folder / "x.npy", bytes);
  const std::string message = error_of([&] { read_npy(folder / "x.npy"); });
  EXPECT_THAT(message, HasSubstr(folder / "x.npy"));
  return message;
}

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

TEST(Npy, WritesWhatNumPyWrites) {
  const Folder folder;
  write_npy(folder / "p", {2, 3}, kSix);
  // numpy.save of np.arange(1, 7, dtype='<f4').reshape(2, 3): 128 bytes of header, then the data.
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  header.resize(117, ' ');
  EXPECT_EQ(read_bytes(folder / "p"), npy(header + "\n", bytes_of(kSix)));
}

TEST(Npy, ComesBackAsWritten) {
  const Folder folder;
  for (const Shape& shape : {Shape{6}, Shape{6, 1}, Shape{1, 2, 3}}) {
    write_npy(folder / "p", shape, kSix);
    const NpyArray array = read_npy(folder / "p");
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.values, kSix);
  }
  write_npy(folder / "p", {}, std::vector<float>{7});
  EXPECT_THAT(read_npy(folder / "p").shape, ElementsAre());
  EXPECT_THAT(read_npy(folder / "p").values, ElementsAre(7));
  write_npy(folder / "p", {0, 4}, {});
  EXPECT_THAT(read_npy(folder / "p").shape, ElementsAre(0, 4));
}

TEST(Npy, DoublesAndFortranOrderAreConverted) {
  const Folder folder;
  write_bytes(folder / "p", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n",
                                bytes_of(std::vector<double>{0.1, -2.0})));
  EXPECT_THAT(read_npy(folder / "p").values, ElementsAre(0.1f, -2.0f));
  write_bytes(folder / "p",
              npy("{\"shape\": (2, 3), \"fortran_order\": True, \"descr\": \"<f4\"}", bytes_of(kSix), 2));
  EXPECT_THAT(read_npy(folder / "p").values, ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(Npy, BadFilesAreRefusedInWords) {
  const std::string data = bytes_of(kSix);
  const auto header = [](const std::string& descr, const std::string& rest) {
    return "{'descr': " + descr + ", 'fortran_order': " + rest + "}";
  };
  EXPECT_THAT(reading_fails(""), HasSubstr("not a .npy file"));
  EXPECT_THAT(reading_fails("PK\x03\x04 an archive, not an array"), HasSubstr("not a .npy file"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False, 'shape': (6,)"), data, 9)), HasSubstr("version 9"));
  EXPECT_THAT(reading_fails(npy(std::string(500, ' '), "").substr(0, 40)), HasSubstr("500 bytes"));
  EXPECT_THAT(reading_fails(npy(header("'>f4'", "False, 'shape': (6,)"), data)),
              AllOf(HasSubstr("'>f4'"), HasSubstr("astype")));
  EXPECT_THAT(reading_fails(npy(header("'<i4'", "False, 'shape': (6,)"), data)), HasSubstr("'<i4'"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False, 'shape': (7,)"), data)),
              HasSubstr("the shape [7] of '<f4' needs 7 elements of 4 bytes, the file has 24 bytes of data"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False, 'shape': (6,)"), data + "x")),
              HasSubstr("25 bytes of data"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "Maybe, 'shape': (6,)"), data)),
              HasSubstr("neither True nor False"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False, 'shape': (-6,)"), data)),
              HasSubstr("no whole number"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False"), data)), HasSubstr("not exactly descr"));
  EXPECT_THAT(reading_fails(npy(header("'<f4'", "False, 'shape': (6,), 'x': 'y'"), data)),
              HasSubstr("unexpected or repeated key 'x'"));
  EXPECT_THAT(reading_fails(npy("{'descr': '<f4", data.substr(0, 1))), HasSubstr("an open string"));
  EXPECT_THAT(reading_fails(npy(header("[('a', '<f4')]", "False, 'shape': (6,)"), data)),
              HasSubstr("no '''"));
}

TEST(Npy, MissingFileIsNamed) {
  EXPECT_THAT(error_of([] { read_npy("/nowhere/prompt.npy"); }),
              AllOf(HasSubstr("/nowhere/prompt.npy"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace trimtab
