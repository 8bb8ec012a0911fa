// SPDX-License-Identifier: Apache-2.0
#include "experiments/adapter_exchange.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "experiments/prompt_file.h"
#include "experiments/request_check.h"
#include "experiments/scratch_folder.h"
#include "experiments/trained_adapter.h"
#include "experiments/vocabulary_file.h"
#include "models/family.h"
#include "models/formats/peft_methods.h"
#include "models/shapes_only.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/config_tree.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;

// In the safetensors file's metadata, of which PEFT takes no notice.
constexpr const char* kBaseHash = "trimtab_base_sha256";
constexpr const char* kBaseName = "trimtab_base";

// "google/t5-base" and "models/t5-base/" are probably the same, "models/t5-base.h5" as well.
std::string short_name(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const fs::path name = fs::path(path).filename();
  return (name.extension() == ".h5" || name.extension() == ".gguf") ? name.stem().string() : name.string();
}

bool same_place(const std::string& a, const std::string& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// Nothing where no model is: transformers may call a GGUF file by its folder.
std::unique_ptr<BaseModel> model_at(const std::string& path) {
  if (!fs::exists(path)) return nullptr;
  try {
    return open_model(path);
  } catch (const ConfigError&) {
    return nullptr;
  }
}

// Adapters tell a name only, which may be a path of another machine. What can be known is compared.
void check_base(const PeftAdapter& adapter, const AdapterImport& wanted, const std::string& hash) {
  if (const auto known = adapter.metadata.find(kBaseHash); known != adapter.metadata.end()) {
    if (known->second == hash) return;
    const auto name = adapter.metadata.find(kBaseName);
    fail_config("{}: belongs to another base model: {} with SHA-256 {}..., but {} has {}...", wanted.source,
                name == adapter.metadata.end() ? "one" : name->second, short_hash(known->second),
                wanted.weights, short_hash(hash));
  }
  std::string name;
  if (const auto field = adapter.config.find("base_model_name_or_path");
      field != adapter.config.end() && field->is_string())
    name = field->get<std::string>();
  if (name.empty() || name == wanted.base || same_place(name, wanted.weights)) return;
  // A model that is there can be compared.
  if (const auto there = model_at(name)) {
    const std::string other = weights_hash(there->weights());
    if (other == hash) return;
    fail_config("{}: belongs to another base model: {} with SHA-256 {}..., but {} has {}...", wanted.source,
                name, short_hash(other), wanted.weights, short_hash(hash));
  }
  if (short_name(name) != short_name(wanted.weights))
    fail_config("{}: belongs to '{}', and nothing shows that {} is the same model; if it is, add --base {}",
                wanted.source, name, wanted.weights, name);
}

// "" where the file does not say it.
std::string base_hash_in(const std::string& prompt) {
  if (is_peft_adapter(prompt)) {
    const PeftAdapter adapter = read_peft_adapter(prompt);
    const auto known = adapter.metadata.find(kBaseHash);
    return known == adapter.metadata.end() ? "" : known->second;
  }
  return is_checkpoint(prompt) ? Checkpoint(prompt).info().base_hash : "";
}

// The options of the method with which a checkpoint of this is used.
ConfigNode method_options(const TrainedAdapter& trained, bool encoder_decoder) {
  ConfigNode method = ConfigNode::map();
  const auto number = [](double value) { return ConfigNode::number(value); };
  method.add("name", ConfigNode::string(trained.method));
  const Shape& shape = trained.tensors.front().shape;
  if (trained.method == "prompt_tuning" || trained.method == "prefix_tuning")
    method.add("length", number(static_cast<double>(shape[0])));
  // Any start will do, and this one fits every task.
  if (trained.method == "prompt_tuning") method.add("init", ConfigNode::string("sampled_vocab"));
  if (trained.method == "prefix_tuning" && encoder_decoder)
    for (const char* attention : {"encoder", "cross"}) method.add(attention, ConfigNode::plain("false"));
  const auto names = [&](const char* key, const std::vector<std::string>& all) {
    ConfigNode list = ConfigNode::list();
    for (const std::string& name : all) list.items.push_back(ConfigNode::string(name));
    method.add(key, std::move(list));
  };
  if (trained.method == "lora") {
    // Sorted by name, a lora_A comes first.
    method.add("rank", number(static_cast<double>(shape[0])));
    method.add("alpha", number(trained.lora_alpha));
    method.add("dropout", number(trained.lora_dropout));
  }
  if (trained.method == "lora" || trained.method == "ia3") names("targets", trained.targets);
  if (trained.method == "ia3") names("feed_forward", trained.feed_forward);
  return method;
}

// What an experiment with these options would refuse is refused before a checkpoint is written.
void check_usable(const ConfigNode& options, const AdapterImport& wanted) {
  const auto model = open_model(wanted.weights);
  forget_weights(*model);
  try {
    check_method(Subtree::parse(to_yaml(options), "method", "adapter"), *model);
  } catch (const ConfigError& error) {
    fail_config("{}: nothing could use it: {}", wanted.source, error.what());
  }
}

std::string section_of(ConfigNode options) {
  ConfigNode root = ConfigNode::map();
  root.add("method", std::move(options));
  return to_yaml(root);
}

TranslatedAdapter read_source(const AdapterImport& wanted, const PeftBase& base, const std::string& hash) {
  if (is_peft_adapter(wanted.source)) {
    const PeftAdapter adapter = read_peft_adapter(wanted.source);
    TranslatedAdapter out = from_peft(adapter, base);
    check_base(adapter, wanted, hash);
    return out;
  }
  NamedArray prompt = read_prompt_rows(wanted.source);
  if (prompt.shape.size() != 2 || prompt.shape[1] != base.attention.width)
    fail_config("{}: is {}, but a prompt of {} is [positions, {}]", wanted.source, to_string(prompt.shape),
                wanted.weights, base.attention.width);
  prompt.name = "prompt";
  std::vector<std::string> notes = {"nothing in this file tells which model it belongs to"};
  const std::int64_t rows = prompt.shape[0];
  if (wanted.source.ends_with(".safetensors") && base.attention.encoder_layers > 0 && rows % 2 == 0)
    notes.push_back(fmt::format(
        "all its {} rows are used; where PEFT saved it, it uses the first {} of them, as adapter_config.json "
        "beside it would say: name the adapter's folder",
        rows, rows / 2));
  return {{"prompt_tuning", {std::move(prompt)}}, std::move(notes)};
}

Parameters parameters_of(const TrainedAdapter& trained) {
  Parameters out;
  for (const NamedArray& array : trained.tensors)
    out.push_back({array.name, at::tensor(at::ArrayRef<float>(array.values), at::kFloat).view(array.shape)});
  return out;
}

}  // namespace

std::string export_adapter(const AdapterExport& wanted) {
  const Checkpoint checkpoint(wanted.checkpoint);
  const CheckpointInfo& info = checkpoint.info();
  const auto model = open_base_of(checkpoint, wanted.weights);
  PeftAdapter adapter = to_peft(trained_adapter(checkpoint), peft_base(*model));
  const std::string weights = wanted.weights.empty() ? info.weights : wanted.weights;
  checkpoint.check_base(weights_hash(model->weights()), weights);
  const std::string base = wanted.base.empty() ? weights : wanted.base;
  adapter.config["base_model_name_or_path"] = base;
  adapter.metadata = {{"format", "pt"}, {kBaseHash, info.base_hash}, {kBaseName, base}};
  write_peft_adapter(adapter, wanted.folder);
  return fmt::format("{}: {} after {} steps as a PEFT adapter of {} ({} tensors)", wanted.folder, info.method,
                     info.step, base, adapter.tensors.size());
}

ImportedAdapter import_adapter(const AdapterImport& wanted) {
  const auto model = open_model(wanted.weights);
  const ScratchFolder scratch;
  const auto tokenizer = open_vocabulary(wanted.vocabulary, *model, scratch.path());
  CheckpointInfo info;
  info.base_hash = weights_hash(model->weights());
  TranslatedAdapter adapter = read_source(wanted, peft_base(*model), info.base_hash);
  info.method = adapter.trained.method;
  ConfigNode options = method_options(adapter.trained, model->text_form() == TextForm::kEncoderDecoder);
  check_usable(options, wanted);
  info.config = section_of(std::move(options));
  info.weights = wanted.weights;
  info.vocabulary_hash = tokenizer->hash();
  save_checkpoint(wanted.checkpoint, info, parameters_of(adapter.trained), nullptr);
  return {info.config, std::move(adapter.notes)};
}

std::string init_file_warning(const ExperimentConfig& config, const std::string& base_hash) {
  const ConfigNode root = parse_yaml(dump_config(config), "the experiment");
  const ConfigNode* method = root.find("method");
  const ConfigNode *init = method->find("init"), *file = method->find("init_file");
  if (init == nullptr || init->text != "file" || file == nullptr) return "";
  const std::string known = base_hash_in(file->text);
  if (known.empty() || known == base_hash) return "";
  return fmt::format(
      "method.init_file: {} was trained on another base model (SHA-256 {}...) than {} ({}...): its rows have "
      "the "
      "same width, but mean something to their own model only; begin with another prompt, or with init: "
      "class_labels",
      file->text, short_hash(known), config.model.weights, short_hash(base_hash));
}

bool is_adapter(const std::string& path) {
  return is_peft_adapter(path) || path.ends_with(".npy") || path.ends_with(".safetensors");
}

}  // namespace trimtab
