// SPDX-License-Identifier: Apache-2.0
//
// Finding the files of published data sets as people have them: unpacked or gzip, in the folder that is
// named, in that of the suite or of the data set below it, or still inside the archive, so that one folder
// can hold all of them.
#pragma once

#include <string>
#include <vector>

#include "data/text_file.h"
#include "runtime/check.h"

namespace trimtab {

// How a data set is published.
struct Published {
  std::string folder{};   // in its archive: "RTE"; "" if there is none
  std::string address{};  // of the archive, "https://.../RTE.zip", or of a page that leads to the files
  std::string suite{};    // folder that data sets of a kind may stand in: "superglue"
};

// A file of a published data set is not there.
class MissingData : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

// The first of `names` that is there, in this order for each: `path`/name, `path`/folder/name (each also with
// ".gz"), the member folder/name or name of the zip file `path`, of `path`/folder.zip, of the archive as it
// is called at the address and of `path`/combined.zip; and all of these in `path`/suite. Throws MissingData
// that begins with `who`, lists where it looked and says where the data set is published; Error for a file
// that cannot be read.
TextFile find_data_file(const std::string& who, const std::string& path, const Published& published,
                        const std::vector<std::string>& names);

}  // namespace trimtab
