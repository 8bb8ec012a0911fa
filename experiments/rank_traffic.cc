// SPDX-License-Identifier: Apache-2.0
#include "experiments/rank_traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/agreement.h"

namespace trimtab {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kBetweenSteps = "between_steps";

Json to_json(const TrafficCount& count) {
  return {{"calls", count.calls}, {"messages", count.messages}, {"bytes", count.bytes}};
}

TrafficCount count_from(const Json& json) {
  constexpr std::int64_t kNone = 0;
  return {json.value("calls", kNone), json.value("messages", kNone), json.value("bytes", kNone)};
}

}  // namespace

Json to_json(const RankTraffic& traffic) {
  Json out;
  for (std::size_t i = 0; i < kTrafficKinds; ++i)
    out[std::string(name_of(static_cast<Traffic>(i)))] = to_json(traffic.steps.counts[i]);
  out[kBetweenSteps] = to_json(traffic.between_steps);
  return out;
}

RankTraffic rank_traffic_from(const Json& json) {
  RankTraffic out;
  for (std::size_t i = 0; i < kTrafficKinds; ++i)
    out.steps.counts[i] = count_from(json.value(name_of(static_cast<Traffic>(i)), Json::object()));
  out.between_steps = count_from(json.value(kBetweenSteps, Json::object()));
  return out;
}

std::vector<RankTraffic> gather_traffic(Communicator& ranks, const RankTraffic& here) {
  std::vector<RankTraffic> out;
  for (const std::string& text : gather_texts(ranks, to_json(here).dump()))
    out.push_back(rank_traffic_from(Json::parse(text)));
  return out;
}

std::string traffic_line(const std::vector<RankTraffic>& ranks, std::int64_t steps) {
  std::string out;
  const auto add = [&](std::string_view purpose, const auto& count_of) {
    const auto busiest = std::max_element(
        ranks.begin(), ranks.end(),
        [&](const RankTraffic& a, const RankTraffic& b) { return count_of(a).bytes < count_of(b).bytes; });
    if (busiest == ranks.end() || count_of(*busiest).messages == 0) return;
    const TrafficCount& count = count_of(*busiest);
    const auto all = static_cast<double>(steps);
    out += fmt::format("{}{} {:.4g} calls, {:.0f} bytes (rank {})", out.empty() ? "" : "; ", purpose,
                       static_cast<double>(count.calls) / all, static_cast<double>(count.bytes) / all,
                       busiest - ranks.begin());
  };
  if (steps == 0) return out;
  for (std::size_t i = 0; i < kTrafficKinds; ++i)
    add(name_of(static_cast<Traffic>(i)),
        [i](const RankTraffic& rank) -> const TrafficCount& { return rank.steps.counts[i]; });
  add("between steps", [](const RankTraffic& rank) -> const TrafficCount& { return rank.between_steps; });
  return out;
}

CountedTraffic::CountedTraffic(World& world, TrafficCount& count)
    : world_(world), count_(count), before_(world.traffic()) {}

CountedTraffic::~CountedTraffic() {
  TrafficCounters sent = world_.traffic();
  sent -= before_;
  for (const TrafficCount& of_purpose : sent.counts) {
    count_.calls += of_purpose.calls;
    count_.messages += of_purpose.messages;
    count_.bytes += of_purpose.bytes;
  }
}

}  // namespace trimtab
