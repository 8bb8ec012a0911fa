// SPDX-License-Identifier: Apache-2.0
#include "experiments/run_record.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/machine.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const SplitScores& scores) {
  Json metrics = Json::object();
  for (const auto& [name, value] : scores.metrics) metrics[name] = value;
  Json out = {{"main", scores.main},
              {"metrics", metrics},
              {"examples", scores.examples},
              {"invalid_labels", scores.invalid},
              {"cut_inputs", scores.cut_inputs}};
  if (scores.majority) out["majority_class"] = *scores.majority;
  return out;
}

SplitScores scores_from(const Json& json) {
  SplitScores out;
  out.main = json.at("main");
  for (const auto& [name, value] : json.at("metrics").items()) out.metrics.emplace_back(name, value);
  out.examples = json.at("examples");
  out.invalid = json.at("invalid_labels");
  out.cut_inputs = json.at("cut_inputs");
  if (json.contains("majority_class")) out.majority = json.at("majority_class").get<double>();
  return out;
}

Json to_json(const SavingCost& cost) { return {{"seconds", cost.seconds}, {"times", cost.times}}; }

SavingCost cost_from(const Json& json, const char* what) {
  const Json none = Json::object();
  const Json saving = json.value("saving", none).value(what, none);
  return {saving.value("seconds", 0.0), saving.value("times", std::int64_t{0})};
}

RunRecord record_from(const Json& json) {
  RunRecord out;
  out.name = json.at("name");
  out.status = json.at("status");
  out.method = json.at("method");
  out.task = json.at("task");
  out.weights = json.at("weights");
  out.base_hash_before = json.at("base_sha256_before");
  out.base_hash_after = json.at("base_sha256_after");
  out.base_parameters = json.at("base_parameters");
  out.trained_parameters = json.at("trained_parameters");
  out.mesh = json.value("mesh", "");
  out.steps = json.at("steps");
  out.best_step = json.at("best_step");
  out.best_score = json.at("best_score");
  out.seconds = json.at("seconds");
  out.threads = json.at("threads");
  out.together = json.value("together", 1);
  out.peak_memory = json.at("peak_memory_bytes");
  out.rank_peaks = json.value("peak_memory_bytes_of_ranks", std::vector<std::uint64_t>());
  const Json traffic = json.value("traffic", Json::object());
  out.traffic_steps = traffic.value("steps", std::int64_t{0});
  out.traffic = rank_traffic_from(traffic);
  for (const Json& rank : traffic.value("of_ranks", Json::array()))
    out.traffic_of_ranks.push_back(rank_traffic_from(rank));
  out.checkpoints = cost_from(json, "checkpoints");
  out.journal = cost_from(json, "journal");
  for (const auto& [split, scores] : json.at("scores").items()) out.scores[split] = scores_from(scores);
  return out;
}

}  // namespace

double SplitScores::main_value() const {
  for (const auto& [name, value] : metrics)
    if (name == main) return value;
  fail("scores without their main metric '{}'", main);
}

double RunRecord::share_percent() const {
  return base_parameters > 0
             ? 100.0 * static_cast<double>(trained_parameters) / static_cast<double>(base_parameters)
             : 0.0;
}

void save_record(const RunRecord& record, const std::string& path) {
  Json json = {{"name", record.name},
               {"status", record.status},
               {"method", record.method},
               {"task", record.task},
               {"weights", record.weights},
               {"base_sha256_before", record.base_hash_before},
               {"base_sha256_after", record.base_hash_after},
               {"base_parameters", record.base_parameters},
               {"trained_parameters", record.trained_parameters},
               {"trained_share_percent", record.share_percent()},
               {"mesh", record.mesh},
               {"steps", record.steps},
               {"best_step", record.best_step},
               {"best_score", record.best_score},
               {"seconds", record.seconds},
               {"host", host_name()},
               {"threads", record.threads},
               {"together", record.together},
               {"processor", instruction_sets()},
               {"peak_memory_bytes", record.peak_memory}};
  if (!record.rank_peaks.empty()) json["peak_memory_bytes_of_ranks"] = record.rank_peaks;
  json["saving"] = {{"checkpoints", to_json(record.checkpoints)}, {"journal", to_json(record.journal)}};
  for (const auto& [what, version] : versions()) json["versions"][what] = version;
  json["traffic"] = {{"rank", 0}, {"steps", record.traffic_steps}};
  json["traffic"].update(to_json(record.traffic));
  for (const RankTraffic& rank : record.traffic_of_ranks)
    json["traffic"]["of_ranks"].push_back(to_json(rank));
  json["scores"] = Json::object();
  for (const auto& [split, scores] : record.scores) json["scores"][split] = to_json(scores);
  write_file_atomically(path, json.dump(2) + "\n");
}

std::optional<RunRecord> load_record(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::ifstream file(path);
  try {
    return record_from(Json::parse(file));
  } catch (const Json::exception& error) {
    fail(
        "{}: is no run record ({}); move this file away and start the same command again: the checkpoints "
        "beside "
        "it hold the run's state",
        path, error.what());
  }
}

}  // namespace trimtab
