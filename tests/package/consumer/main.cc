// SPDX-License-Identifier: Apache-2.0
//
// A program outside trimtab that uses one of its floors and LibTorch through it.
#include <ATen/ATen.h>
#include <fmt/core.h>

#include "parallel/row_layout.h"

int main() {
  const trimtab::RowLayout rows({3, 4});
  fmt::print("{} rows, {} tokens, sum {}\n", rows.rows(), rows.tokens(),
             at::ones(rows.tokens()).sum().item<double>());
}
