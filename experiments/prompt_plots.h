// SPDX-License-Identifier: Apache-2.0
//
// The picture of `trimtab inspect`: of one prompt norms and nearest cosines row by row, of several how alike
// they are.
#pragma once

#include <string>

#include "experiments/prompt_inspection.h"

namespace trimtab {

struct PromptPicture {
  std::string script, data;
};
// The gnuplot script that reads `pictures`.dat and writes `pictures`.png and .svg, and that file.
PromptPicture prompt_picture(const Inspections& inspections, const std::string& pictures);

}  // namespace trimtab
