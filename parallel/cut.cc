// SPDX-License-Identifier: Apache-2.0
#include "parallel/cut.h"

#include "runtime/check.h"

namespace trimtab {

Share share_of_units(std::int64_t size, std::int64_t unit, int k, int m) {
  TT_CHECK(unit > 0 && size % unit == 0, "{} elements in units of {}", size, unit);
  const Share units = share(size / unit, k, m, Uneven::kAllow);
  return {units.begin * unit, units.count * unit};
}

Share share_of(const Cut& cut, const Communicator& tensor) {
  return share_of_units(cut.size, cut.unit, tensor.rank(), tensor.size());
}

Shape whole_shape(Shape here, const Cut& cut) {
  if (cut != kWhole) here.at(static_cast<std::size_t>(cut.dim)) = cut.size;
  return here;
}

}  // namespace trimtab
