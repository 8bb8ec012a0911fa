// SPDX-License-Identifier: Apache-2.0
#include "experiments/shared_hash.h"

#include <sys/stat.h>

#include <algorithm>

#include "experiments/machine.h"
#include "runtime/agreement.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {

std::string shared_hash(Communicator& all, const std::string& place,
                        const std::function<std::string()>& hash) {
  const std::string here = host_name() + ':' + place;
  const std::vector<std::string> places = gather_texts(all, here);
  const auto first = std::ranges::find(places, here) - places.begin();
  return gather_texts(all, first == all.rank() ? hash() : "")[static_cast<std::size_t>(first)];
}

std::string program_hash(Communicator& all) {
  constexpr const char* kProgram = "/proc/self/exe";
  struct stat file {};
  if (::stat(kProgram, &file) != 0) fail("{} cannot be read: is /proc mounted?", kProgram);
  // Not by its path: a program that was replaced while it ran is another one.
  return shared_hash(all, fmt::format("{}:{}", file.st_dev, file.st_ino),
                     [] { return sha256_file(kProgram); });
}

}  // namespace trimtab
