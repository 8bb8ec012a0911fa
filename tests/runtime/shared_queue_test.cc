// SPDX-License-Identifier: Apache-2.0
#include "runtime/shared_queue.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(SharedQueue, AsksAllWhoAreThere) {
  SharedQueue queue;
  std::vector<std::string> asked;
  const auto ask = [&](const std::string& name) {
    return [&asked, name](const std::string& what) { asked.push_back(name + ": " + what); };
  };
  const SharedQueue::Member pipe(queue, ask("pipe"));
  {
    const SharedQueue::Member tensor(queue, ask("tensor"));
    queue.check_all("settle");
    EXPECT_THAT(asked, ElementsAre("pipe: settle", "tensor: settle"));
  }
  asked.clear();
  queue.check_all("barrier");
  EXPECT_THAT(asked, ElementsAre("pipe: barrier"));
}

// Two communicators on one device of which only the other one lost a rank.
TEST(SharedQueue, TheFailureOfAnyEndsAWait) {
  SharedQueue queue;
  bool is_lost = false;
  const SharedQueue::Member pipe(queue, [](const std::string&) {});
  const SharedQueue::Member tensor(queue, [&](const std::string& what) {
    if (is_lost) fail("{} on 'tensor': a rank is gone", what);
  });
  EXPECT_NO_THROW(queue.check_all("settle"));
  is_lost = true;
  EXPECT_THAT([&] { queue.check_all("settle"); },
              ThrowsMessage<Error>(HasSubstr("settle on 'tensor': a rank is gone")));
}

}  // namespace
}  // namespace trimtab
