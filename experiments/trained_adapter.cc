// SPDX-License-Identifier: Apache-2.0
#include "experiments/trained_adapter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "experiments/same_use.h"
#include "runtime/check.h"
#include "runtime/config_tree.h"

namespace trimtab {
namespace {

// A number of the method's section in the experiment that a checkpoint carries.
double option_of(const ConfigNode& config, const char* section, const char* key, const std::string& path) {
  const ConfigNode* method = config.find(section);
  const ConfigNode* node = method == nullptr ? nullptr : method->find(key);
  double value = 0.0;
  std::string remedy;
  if (node == nullptr || !parse_scalar(*node, value, remedy))
    fail("{}: the experiment in it has no number {}.{}", path, section, key);
  return value;
}

// A list of texts of the method's section; empty if it is not there.
std::vector<std::string> list_of(const ConfigNode& config, const char* key) {
  std::vector<std::string> out;
  const ConfigNode* method = config.find("method");
  const ConfigNode* node = method == nullptr ? nullptr : method->find(key);
  if (node != nullptr)
    for (const ConfigNode& item : node->items) out.push_back(item.text);
  return out;
}

}  // namespace

TrainedAdapter trained_adapter(const Checkpoint& checkpoint) {
  const std::string& path = checkpoint.store().path();
  const ConfigNode config = parse_yaml(checkpoint.info().config, path + ": its experiment");
  TrainedAdapter out{checkpoint.info().method, {}};
  for (const std::string& name : checkpoint.results()) {
    const at::Tensor value = checkpoint.result(name);
    const float* data = value.const_data_ptr<float>();
    out.tensors.push_back({name, value.sizes().vec(), {data, data + value.numel()}});
  }
  std::ranges::sort(out.tensors, {}, &NamedArray::name);
  check_in_front(checkpoint, "PEFT puts it");
  if (out.method == "lora") {
    out.lora_alpha = option_of(config, "method", "alpha", path);
    out.lora_dropout = option_of(config, "method", "dropout", path);
  }
  if (out.method == "ia3") {
    out.feed_forward = list_of(config, "feed_forward");
    // As the method chooses where nothing is named.
    if (out.feed_forward.empty() && list_of(config, "targets").empty())
      out.feed_forward = {"wo", "down_proj"};
  }
  return out;
}

std::unique_ptr<BaseModel> open_base_of(const Checkpoint& checkpoint, const std::string& named) {
  const std::string path = named.empty() ? checkpoint.info().weights : named;
  if (!std::filesystem::exists(path))
    fail_config("{}: its base model {} is not there; name it with --weights", checkpoint.store().path(),
                path);
  return open_model(path);
}

}  // namespace trimtab
