// SPDX-License-Identifier: Apache-2.0
#include "experiments/prompt_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <span>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "models/formats/npy.h"
#include "models/formats/peft_adapter.h"
#include "models/formats/safetensors.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

bool starts_as_hdf5(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_config("{}: there is no such file, or it cannot be read", path);
  char head[8] = {};
  file.read(head, sizeof(head));
  return file.gcount() == 8 && std::string_view(head, 8) == std::string_view("\x89HDF\r\n\x1a\n", 8);
}

}  // namespace

bool is_checkpoint(const std::string& path) {
  if (!starts_as_hdf5(path)) return false;
  const TensorStore store(path);
  return store.attributes().contains("content") && store.text("content") == "checkpoint";
}

std::vector<PromptMatrix> read_prompts(const std::string& path) {
  std::vector<PromptMatrix> out;
  if (!starts_as_hdf5(path)) {
    NamedArray rows = read_prompt_rows(path);
    out.push_back({"prompt", std::move(rows.shape), std::move(rows.values), ""});
  } else {
    const Checkpoint checkpoint(path);
    const CheckpointInfo& info = checkpoint.info();
    const std::string origin = fmt::format("{} of {} steps on {} (SHA-256 {}...)", info.method, info.step,
                                           info.weights, short_hash(info.base_hash));
    for (const std::string& name : checkpoint.results()) {
      const at::Tensor value = checkpoint.result(name);
      const float* data = value.const_data_ptr<float>();
      out.push_back({name, value.sizes().vec(), {data, data + value.numel()}, origin});
    }
  }
  for (const PromptMatrix& prompt : out)
    if (prompt.shape.size() != 2)
      fail("{}: '{}' has {} dims, a prompt has two: positions and width", path, prompt.name,
           prompt.shape.size());
  if (out.empty()) fail("{}: nothing was trained in this run", path);
  return out;
}

void write_prompt(const PromptMatrix& prompt, const std::string& path) {
  if (!path.ends_with(".safetensors")) {
    write_npy(path, prompt.shape, prompt.values);
    return;
  }
  SafetensorsWriter writer(path, {{"prompt_embeddings", {DType::kFloat32, prompt.shape}}},
                           {{"format", "pt"}});
  writer.append(prompt.values.data(), prompt.values.size() * sizeof(float));
  writer.commit();
}

std::vector<std::vector<Neighbour>> nearest_rows(const PromptMatrix& prompt, const std::vector<float>& table,
                                                 std::size_t count) {
  const std::int64_t width = prompt.shape.at(1);
  const auto as_tensor = [width](const std::vector<float>& values) {
    return at::from_blob(const_cast<float*>(values.data()),
                         {static_cast<std::int64_t>(values.size()) / width, width}, at::kFloat);
  };
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, {1}, true).clamp_min(1e-30); };
  const at::Tensor cosines = at::matmul(unit(as_tensor(prompt.values)), unit(as_tensor(table)).t());
  const auto [values, ids] =
      cosines.topk(std::min<std::int64_t>(static_cast<std::int64_t>(count), cosines.size(1)), 1);
  std::vector<std::vector<Neighbour>> out(static_cast<std::size_t>(prompt.shape[0]));
  for (std::int64_t row = 0; row < values.size(0); ++row)
    for (std::int64_t i = 0; i < values.size(1); ++i)
      out[static_cast<std::size_t>(row)].push_back(
          {ids[row][i].item<std::int64_t>(), values[row][i].item<double>()});
  return out;
}

}  // namespace trimtab
