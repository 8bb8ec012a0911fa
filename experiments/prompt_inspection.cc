// SPDX-License-Identifier: Apache-2.0
#include "experiments/prompt_inspection.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "data/tasks/registry.h"
#include "data/text_recipe.h"
#include "experiments/checkpoint.h"
#include "experiments/experiment_config.h"
#include "experiments/run_record.h"
#include "experiments/scratch_folder.h"
#include "experiments/vocabulary_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kPrompt = "prompt";

// A model's pieces with their embeddings.
class VocabularyTable {
 public:
  VocabularyTable(const std::string& weights, const std::string& vocabulary) : weights_(weights) {
    const auto model = open_model(weights);
    one_text_ = model->text_form() == TextForm::kDecoderOnly;
    const ScratchFolder scratch;
    tokenizer_ = open_vocabulary(vocabulary, *model, scratch.path());
    const Shape shape = model->weights().info(model->embedding_name()).shape;
    width_ = shape.at(1);
    // Rows above the pieces are padding.
    const std::int64_t pieces = std::min<std::int64_t>(shape[0], tokenizer_->size());
    table_.resize(static_cast<std::size_t>(pieces * width_));
    model->weights().read(model->embedding_name(), {{0, 0}, {pieces, width_}}, DType::kFloat32,
                          table_.data());
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // `cue` is what the template of the prompt's run says behind the input: labels are looked for as targets.
  void add_to(PromptInspection& out, const std::vector<std::string>& labels, const std::string& cue,
              std::size_t count) const {
    if (out.prompt.shape[1] != width_)
      fail_config("{}: width {}, but {} has width {}", out.file, out.prompt.shape[1], weights_, width_);
    out.nearest = nearest_rows(out.prompt, table_, count);
    for (const auto& of_row : out.nearest)
      for (const Neighbour& n : of_row) out.pieces[n.id] = tokenizer_->piece(static_cast<TokenId>(n.id));
    out.shared = shared_neighbours(out.nearest);
    std::vector<LabelPieces> words;
    const TextRecipe recipe(*tokenizer_, {.text = "{input}" + cue, .one_text = one_text_});
    for (const std::string& label : labels) {
      const std::vector<TokenId> ids = recipe.encode_words(label);
      if (ids.empty())
        out.notes.push_back(fmt::format("the label '{}' has no pieces in this vocabulary", label));
      else
        words.push_back({label, {ids.begin(), ids.end()}});
    }
    out.labels = label_hits(out.prompt, table_, words, count);
  }

 private:
  std::string weights_;
  std::unique_ptr<Tokenizer> tokenizer_;
  bool one_text_ = false;
  std::int64_t width_ = 0;
  std::vector<float> table_;
};

PromptMatrix prompt_of(const std::string& path) {
  for (PromptMatrix& prompt : read_prompts(path))
    if (prompt.name == kPrompt) {
      prompt.name = fmt::format("{}: {}", path, kPrompt);
      return std::move(prompt);
    }
  fail_config("{}: holds no prompt", path);
}

// What the experiment in a checkpoint says: the task's labels, the white space in front of them, and where
// the prompt began if that is a file.
struct Origin {
  std::vector<std::string> labels{};
  std::string cue{};
  std::string init_file{};
};

// The task may want files that are not on this machine; the rest can be shown without it.
Origin origin_of(const Checkpoint& checkpoint, bool wants_labels, std::vector<std::string>& notes) {
  Origin out;
  const ConfigNode root = parse_yaml(checkpoint.info().config, checkpoint.store().path());
  if (const ConfigNode* method = root.find("method")) {
    const ConfigNode *init = method->find("init"), *file = method->find("init_file");
    if (init != nullptr && init->text == "file" && file != nullptr) out.init_file = file->text;
  }
  const ConfigNode* text = root.find("text");
  if (const ConfigNode* written = text == nullptr ? nullptr : text->find("template"); written != nullptr)
    out.cue = written->text.substr(written->text.find_last_not_of(" \t\r\n") + 1);
  if (!wants_labels) return out;
  if (root.find("task") == nullptr) {
    notes.emplace_back("its labels are unknown, since it was imported: name them with --labels");
    return out;
  }
  try {
    auto config = read_config<ExperimentConfig>(root);
    out.labels = make_task(config.task)->prompt_words();
  } catch (const std::exception& error) {
    notes.push_back(fmt::format("labels unknown, name them with --labels: {}", error.what()));
  }
  return out;
}

void add_movement(PromptInspection& out, const std::string& initial) {
  if (!initial.empty()) out.movement = movement(out.prompt, prompt_of(initial));
}

PromptInspection inspect_one(const std::string& file, const InspectRequest& request,
                             const VocabularyTable* vocabulary) {
  PromptMatrix prompt = prompt_of(file);
  PromptNorms norms = norms_of(prompt);
  PromptInspection out{file, std::move(prompt), std::move(norms)};
  std::vector<std::string> labels = request.labels;
  std::string initial = request.initial, cue;
  if (is_checkpoint(file)) {
    const Checkpoint checkpoint(file);
    const bool wants_labels = vocabulary != nullptr && labels.empty();
    Origin origin = origin_of(checkpoint, wants_labels, out.notes);
    if (wants_labels) labels = std::move(origin.labels);
    cue = std::move(origin.cue);
    if (initial.empty() && fs::exists(origin.init_file)) initial = origin.init_file;
    if (vocabulary != nullptr)
      checkpoint.check_vocabulary(vocabulary->tokenizer().hash(), vocabulary->tokenizer().path());
    // What a network in place of the prompt moved by says nothing of the prompt.
    if (std::ranges::count(checkpoint.values(), kPrompt) > 0) {
      const fs::path folder = fs::path(file).parent_path();
      const RunFolder run(folder.empty() ? "." : folder.string());
      out.moved = recorded_movement(run.metrics(), checkpoint.info().step);
    }
  }
  if (vocabulary != nullptr) vocabulary->add_to(out, labels, cue, request.neighbours);
  add_movement(out, initial);
  return out;
}

template <class T>
std::string listed(const std::vector<T>& values, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < values.size() && i < most; ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ", ", values[i]);
  return values.size() > most ? fmt::format("{}, ... ({})", out, values.size()) : out;
}

constexpr std::size_t kListed = 12;

std::string label_lines(const PromptInspection& one, std::size_t count) {
  if (one.labels.empty()) return "";
  std::string out = fmt::format("  labels among the {} nearest of some row: {} of {}\n", count,
                                labels_hit(one.labels), one.labels.size());
  for (const LabelHit& hit : one.labels)
    out += fmt::format("    {}: {}; highest in row {}, place {} ({:.2f})\n", hit.label,
                       hit.rows.empty() ? "no row" : "rows " + listed(hit.rows, kListed), hit.best_row,
                       hit.place, hit.cosine);
  return out;
}

std::string neighbour_lines(const PromptInspection& one, std::size_t rows) {
  if (one.nearest.empty()) return "";
  std::string out = fmt::format("  different nearest pieces: {} of {} rows\n", distinct_nearest(one.nearest),
                                one.nearest.size());
  if (!one.shared.empty()) out += "  pieces near several rows:\n";
  for (std::size_t i = 0; i < one.shared.size() && i < kListed; ++i)
    out += fmt::format("    {}: rows {}\n", one.pieces.at(one.shared[i].id),
                       listed(one.shared[i].rows, kListed));
  if (one.shared.size() > kListed) out += fmt::format("    and {} more\n", one.shared.size() - kListed);
  out += "   row  norm  nearest pieces (cosine)\n";
  for (std::size_t row = 0; row < one.nearest.size() && row < rows; ++row) {
    out += fmt::format("  {:4}  {:.4g}", row, one.norms.rows[row]);
    for (const Neighbour& n : one.nearest[row])
      out += fmt::format("  {} ({:.2f})", one.pieces.at(n.id), n.cosine);
    out += "\n";
  }
  return out;
}

std::string movement_lines(const PromptInspection& one) {
  std::string out;
  if (one.movement) {
    const auto [least, greatest] = std::ranges::minmax(one.movement->cosines);
    out += fmt::format(
        "  moved by {:.4g} from the initial prompt, whose norm is {:.4g}; cosines of rows with what they "
        "were: "
        "{:.2f} to {:.2f}\n",
        one.movement->distance, one.movement->start_norm, least, greatest);
  } else if (one.moved) {
    out += fmt::format("  moved by {:.4g} from the initial prompt (metrics.jsonl)\n", *one.moved);
  }
  return out;
}

std::string matrix_lines(const Inspections& all, double PromptLikeness::*value) {
  std::string out;
  for (std::size_t i = 0; i < all.names.size(); ++i) {
    out += "  ";
    for (const PromptLikeness& other : all.likeness[i]) out += fmt::format("{:6.2f}", other.*value);
    out += fmt::format("  {}\n", all.names[i]);
  }
  return out;
}

Json json_of(const PromptInspection& one) {
  Json out = {{"file", one.file}, {"shape", one.prompt.shape}};
  if (!one.prompt.origin.empty()) out["origin"] = one.prompt.origin;
  out["norms"] = {{"least", one.norms.least},
                  {"mean", one.norms.mean},
                  {"greatest", one.norms.greatest},
                  {"rows", one.norms.rows}};
  out["deviation"] = one.norms.deviation;
  if (one.movement)
    out["movement"] = {{"distance", one.movement->distance},
                       {"start_norm", one.movement->start_norm},
                       {"rows", one.movement->rows},
                       {"cosines", one.movement->cosines}};
  if (one.moved) out["moved"] = *one.moved;
  if (!one.nearest.empty()) {
    out["neighbours"] = Json::array();
    for (const auto& of_row : one.nearest) {
      Json row = Json::array();
      for (const Neighbour& n : of_row)
        row.push_back({{"piece", one.pieces.at(n.id)}, {"id", n.id}, {"cosine", n.cosine}});
      out["neighbours"].push_back(std::move(row));
    }
    out["different_nearest"] = distinct_nearest(one.nearest);
    out["shared"] = Json::array();
    for (const SharedNeighbour& piece : one.shared)
      out["shared"].push_back({{"piece", one.pieces.at(piece.id)}, {"id", piece.id}, {"rows", piece.rows}});
  }
  if (!one.labels.empty()) {
    out["labels_hit"] = labels_hit(one.labels);
    out["labels"] = Json::array();
    for (const LabelHit& hit : one.labels)
      out["labels"].push_back({{"label", hit.label},
                               {"rows", hit.rows},
                               {"best_row", hit.best_row},
                               {"place", hit.place},
                               {"cosine", hit.cosine}});
  }
  if (!one.notes.empty()) out["notes"] = one.notes;
  return out;
}

std::string dumped(const Json& json) {
  constexpr int kIndent = 1;
  return json.dump(kIndent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> out;
  for (const fs::path& part : fs::path(path).lexically_normal()) out.push_back(part.string());
  return out;
}

}  // namespace

std::vector<std::string> short_names(const std::vector<std::string>& paths) {
  std::vector<std::vector<std::string>> parts;
  for (const std::string& path : paths) parts.push_back(parts_of(path));
  const auto all_agree = [&](const auto& part_of) {
    return parts.size() > 1 && std::ranges::all_of(parts, [&](const auto& one) {
             return one.size() > 1 && parts.front().size() > 1 && part_of(one) == part_of(parts.front());
           });
  };
  while (all_agree([](const auto& one) { return one.back(); }))
    for (auto& one : parts) one.pop_back();
  while (all_agree([](const auto& one) { return one.front(); }))
    for (auto& one : parts) one.erase(one.begin());
  std::vector<std::string> out;
  for (const auto& one : parts) out.push_back(fmt::format("{}", fmt::join(one, "/")));
  return out;
}

Inspections inspect_prompts(const InspectRequest& request) {
  std::unique_ptr<VocabularyTable> vocabulary;
  if (!request.weights.empty())
    vocabulary = std::make_unique<VocabularyTable>(request.weights, request.vocabulary);
  Inspections out;
  out.neighbours = request.neighbours;
  out.names = short_names(request.files);
  for (const std::string& file : request.files)
    out.prompts.push_back(inspect_one(file, request, vocabulary.get()));
  if (out.prompts.size() < 2) return out;
  for (const PromptInspection& one : out.prompts) {
    std::vector<PromptLikeness>& row = out.likeness.emplace_back();
    for (const PromptInspection& other : out.prompts) row.push_back(likeness(one.prompt, other.prompt));
  }
  return out;
}

std::string inspection_text(const Inspections& inspections, std::size_t rows) {
  std::string out;
  for (const PromptInspection& one : inspections.prompts) {
    out += fmt::format("{} [{}] {}\n", one.prompt.name, fmt::join(one.prompt.shape, ", "), one.prompt.origin);
    out += fmt::format(
        "  norm of a row: least {:.4g}, mean {:.4g}, greatest {:.4g}\n"
        "  standard deviation of the elements: {:.4g}\n",
        one.norms.least, one.norms.mean, one.norms.greatest, one.norms.deviation);
    out += movement_lines(one) + label_lines(one, inspections.neighbours) + neighbour_lines(one, rows);
    for (const std::string& note : one.notes) out += "  " + note + "\n";
  }
  if (inspections.likeness.empty()) return out;
  return out + "cosines of the averaged prompts\n" + matrix_lines(inspections, &PromptLikeness::averaged) +
         "mean cosine of each row with the most similar row of the other\n" +
         matrix_lines(inspections, &PromptLikeness::best_match);
}

std::string inspection_json(const Inspections& inspections) {
  Json out;
  out["prompts"] = Json::array();
  for (const PromptInspection& one : inspections.prompts) out["prompts"].push_back(json_of(one));
  if (inspections.likeness.empty()) return dumped(out);
  Json averaged = Json::array(), best_match = Json::array();
  for (const auto& row : inspections.likeness) {
    Json a = Json::array(), b = Json::array();
    for (const PromptLikeness& other : row) {
      a.push_back(other.averaged);
      b.push_back(other.best_match);
    }
    averaged.push_back(std::move(a));
    best_match.push_back(std::move(b));
  }
  out["likeness"] = {{"names", inspections.names}, {"averaged", averaged}, {"best_match", best_match}};
  return dumped(out);
}

std::vector<TrainedTensor> trained_without_prompt(const std::string& path) {
  const Checkpoint checkpoint(path);
  std::vector<TrainedTensor> out;
  for (const std::string& name : checkpoint.results()) {
    if (name == kPrompt) return {};
    const at::Tensor value = checkpoint.result(name);
    out.push_back({name, value.sizes().vec(), value.norm().item<double>()});
  }
  if (out.empty()) fail("{}: nothing was trained in this run", path);
  return out;
}

std::string trained_text(const std::vector<TrainedTensor>& tensors) {
  std::string out;
  for (const TrainedTensor& one : tensors)
    out += fmt::format("{} [{}] norm {:.4g}\n", one.name, fmt::join(one.shape, ", "), one.norm);
  return out;
}

std::string trained_json(const std::vector<TrainedTensor>& tensors) {
  Json out;
  out["trained"] = Json::array();
  for (const TrainedTensor& one : tensors)
    out["trained"].push_back({{"name", one.name}, {"shape", one.shape}, {"norm", one.norm}});
  return dumped(out);
}

}  // namespace trimtab
