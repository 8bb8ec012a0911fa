// SPDX-License-Identifier: Apache-2.0
#include "experiments/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>

#include "experiments/base_hash.h"
#include "parallel/gather_slices.h"
#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

constexpr std::string_view kValue = "value:";
constexpr std::string_view kState = "state:";
constexpr std::string_view kResult = "result:";

// A store's names have no '/', an optimizer's do.
std::string swapped(std::string name, char from, char to) {
  std::ranges::replace(name, from, to);
  return name;
}

void write(TensorStoreWriter& writer, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.detach().cpu().contiguous();
  writer.write(name, {dtype_of(bytes), bytes.sizes().vec()}, bytes.const_data_ptr());
}

std::vector<NamedSlice> slices_of(const Parameters& parameters, const OptimizerState* state,
                                  const std::vector<NamedSlice>& results) {
  std::vector<NamedSlice> slices;
  for (const Parameter& parameter : parameters)
    slices.push_back({std::string(kValue) + parameter.name, parameter.value(), parameter.cut});
  if (state != nullptr)
    for (const auto& [name, tensor, cut] : state->tensors)
      slices.push_back({std::string(kState) + swapped(name, '/', '|'), tensor, cut});
  for (const auto& [name, tensor, cut] : results)
    slices.push_back({std::string(kResult) + name, tensor, cut});
  return slices;
}

void write_info(TensorStoreWriter& writer, const CheckpointInfo& info, std::int64_t optimizer_step) {
  writer.set("content", std::string("checkpoint"));
  writer.set("method", info.method);
  writer.set("config", info.config);
  writer.set("weights", info.weights);
  writer.set("base_sha256", info.base_hash);
  writer.set("vocabulary_sha256", info.vocabulary_hash);
  writer.set("data_sha256", info.data_hash);
  writer.set("step", info.step);
  writer.set("best_step", info.best_step);
  writer.set("best_score", info.best_score);
  writer.set("evaluations_without_gain", info.evaluations_without_gain);
  writer.set("evaluated_step", info.evaluated_step);
  writer.set("optimizer_step", optimizer_step);
}

// The path of a store that was read once from end to end.
const std::string& whole(const std::string& path) {
  try {
    TensorStore(path).verify();
  } catch (const Error& error) {
    if (!std::filesystem::is_regular_file(path)) throw;
    fail(
        "{}; take another copy of the file. A run whose last.h5 is moved away goes on from its journal, or "
        "begins anew",
        error.what());
  }
  return path;
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void save_checkpoint(World& world, const std::string& path, const CheckpointInfo& info,
                     const Parameters& parameters, const OptimizerState* state,
                     const std::vector<NamedSlice>& results) {
  const std::vector<NamedSlice> slices = slices_of(parameters, state, results);
  if (world.here().data != 0) return;
  if (world.rank() != 0) return gather_slices(world, slices, {});
  TensorStoreWriter writer(path);
  gather_slices(world, slices,
                [&](const std::string& name, const at::Tensor& whole) { write(writer, name, whole); });
  write_info(writer, info, state != nullptr ? state->step : std::int64_t{-1});
  writer.commit();
}

GatheredState gather_state(World& world, const Parameters& parameters, const OptimizerState& state) {
  GatheredState out{{}, state.step};
  gather_slices(
      world, slices_of(parameters, &state, {}), [&](const std::string& name, const at::Tensor& whole) {
        out.tensors.emplace_back(name, whole.detach().to(at::kCPU, /*non_blocking=*/false, /*copy=*/true));
      });
  return out;
}

void write_state(const std::string& path, const CheckpointInfo& info, const GatheredState& state,
                 Durability durability) {
  TensorStoreWriter writer(path);
  for (const auto& [name, tensor] : state.tensors) write(writer, name, tensor);
  write_info(writer, info, state.optimizer_step);
  writer.commit(durability);
}

void save_checkpoint(const std::string& path, const CheckpointInfo& info, const Parameters& parameters,
                     const OptimizerState* state) {
  World alone = solo_world();
  save_checkpoint(alone, path, info, parameters, state);
}

std::string state_hash(const Parameters& parameters, const OptimizerState& state, bool whole_only) {
  Sha256 sha;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor bytes = tensor.detach().cpu().contiguous();
    sha.update(name);
    sha.update(bytes.const_data_ptr(), static_cast<std::size_t>(bytes.nbytes()));
  };
  for (const Parameter& parameter : parameters)
    if (!whole_only || parameter.cut == kWhole) add(parameter.name, parameter.value());
  for (const auto& [name, tensor, cut] : state.tensors)
    if (!whole_only || cut == kWhole) add(name, tensor);
  return sha.hex();
}

Checkpoint::Checkpoint(const std::string& path) : store_(whole(path)) {
  if (!store_.attributes().contains("content") || store_.text("content") != "checkpoint")
    fail("{}: is no checkpoint of a run (a model's weights go to model.weights)", path);
  info_.method = store_.text("method");
  info_.config = store_.text("config");
  info_.weights = store_.text("weights");
  info_.base_hash = store_.text("base_sha256");
  info_.vocabulary_hash = store_.text("vocabulary_sha256");
  if (store_.attributes().contains("data_sha256")) info_.data_hash = store_.text("data_sha256");
  info_.step = store_.integer("step");
  info_.best_step = store_.integer("best_step");
  info_.best_score = store_.real("best_score");
  info_.evaluations_without_gain = store_.integer("evaluations_without_gain");
  info_.evaluated_step = store_.integer("evaluated_step");
}

void Checkpoint::check_base(const std::string& hash, const std::string& weights) const {
  if (hash == info_.base_hash) return;
  fail_config(
      "{}: was trained on another base model: {} with SHA-256 {}..., but {} has {}...; set model.weights "
      "(and "
      "model.compute) to what it was trained on",
      store_.path(), info_.weights, short_hash(info_.base_hash), weights, short_hash(hash));
}

void Checkpoint::check_vocabulary(const std::string& hash, const std::string& path) const {
  if (hash == info_.vocabulary_hash) return;
  fail_config("{}: was trained with another vocabulary (SHA-256 {}...) than {} ({}...); set model.vocabulary",
              store_.path(), short_hash(info_.vocabulary_hash), path, short_hash(hash));
}

void Checkpoint::check_data(const std::string& hash) const {
  if (info_.data_hash.empty() || hash == info_.data_hash) return;
  fail_config(
      "{}: was trained on other rows than the training split has now (SHA-256 of the tokenised rows {}..., "
      "now {}...); "
      "put the old files back, or set output to another folder",
      store_.path(), short_hash(info_.data_hash), short_hash(hash));
}

void Checkpoint::check_method(const std::string& method) const {
  if (method == info_.method) return;
  fail_config("{}: holds a run of the method {}, but method.name is {}; use another output folder or method",
              store_.path(), info_.method, method);
}

void Checkpoint::load_values(const Parameters& parameters, const CheckpointShare& share) const {
  std::vector<std::string> problems, unknown = values();
  std::erase_if(unknown, [&](const std::string& name) { return share.elsewhere.contains(name); });
  for (const Parameter& parameter : parameters) {
    const std::string name = std::string(kValue) + parameter.name;
    std::erase(unknown, parameter.name);
    if (!store_.has(name)) {
      problems.push_back(fmt::format("{} is missing", parameter.name));
      continue;
    }
    const TensorInfo stored = store_.info(name);
    const Shape wanted = whole_shape(parameter);
    if (stored.shape != wanted) {
      problems.push_back(fmt::format("{} is [{}] in the file but [{}] in this run", parameter.name,
                                     fmt::join(stored.shape, ", "), fmt::join(wanted, ", ")));
      continue;
    }
    at::Tensor value = parameter.value();
    value.copy_(read_share(name, stored.dtype, parameter.cut, share));
  }
  if (!unknown.empty()) problems.push_back("not known in this run: " + joined(unknown));
  if (!problems.empty())
    fail_config("{}: does not fit this run's method: {}; use the method options it was trained with",
                store_.path(), fmt::join(problems, "; "));
}

bool Checkpoint::has_state() const { return store_.integer("optimizer_step") >= 0; }

OptimizerState Checkpoint::state(const OptimizerState& like, const CheckpointShare& share) const {
  if (!has_state())
    fail("{}: holds no optimizer state: it can be evaluated but not trained further", store_.path());
  OptimizerState out;
  out.step = store_.integer("optimizer_step");
  for (const std::string& stored : store_.names()) {
    if (!stored.starts_with(kState)) continue;
    const std::string name = swapped(stored.substr(kState.size()), '|', '/');
    const auto known = std::ranges::find(like.tensors, name, &NamedSlice::name);
    const Cut cut = known == like.tensors.end() ? kWhole : known->cut;
    if (known == like.tensors.end() && share.elsewhere.contains(name.substr(0, name.rfind('/')))) continue;
    out.tensors.push_back({name, read_share(stored, DType::kFloat32, cut, share), cut});
  }
  return out;
}

std::vector<std::string> Checkpoint::names_behind(std::string_view mark) const {
  std::vector<std::string> out;
  for (const std::string& name : store_.names())
    if (name.starts_with(mark)) out.push_back(name.substr(mark.size()));
  return out;
}

std::vector<std::string> Checkpoint::values() const { return names_behind(kValue); }

std::vector<std::string> Checkpoint::results() const {
  std::vector<std::string> out = names_behind(kResult);
  return out.empty() ? values() : out;
}

at::Tensor Checkpoint::result(const std::string& name) const {
  const std::string stored = std::string(kResult) + name;
  return store_.has(stored) ? read(stored, DType::kFloat32) : value(name);
}

at::Tensor Checkpoint::value(const std::string& name) const {
  return read(std::string(kValue) + name, DType::kFloat32);
}

// What is of another size is read whole, so that whoever compares shapes names it.
at::Tensor Checkpoint::read_share(const std::string& stored_name, DType type, const Cut& cut,
                                  const CheckpointShare& share) const {
  const Shape shape = store_.info(stored_name).shape;
  const auto dim = static_cast<std::size_t>(cut.dim);
  if (cut == kWhole || dim >= shape.size() || shape[dim] != cut.size) return read(stored_name, type);
  const Slab slab =
      slab_of_dim(shape, cut.dim, share_of_units(cut.size, cut.unit, share.tensor_rank, share.tensor_ranks));
  at::Tensor out = at::empty(slab.count, scalar_type(type));
  store_.read(stored_name, slab, type, out.mutable_data_ptr());
  return out;
}

at::Tensor Checkpoint::read(const std::string& stored_name, DType type) const {
  at::Tensor out = at::empty(store_.info(stored_name).shape, scalar_type(type));
  store_.read(stored_name, {}, type, out.mutable_data_ptr());
  return out;
}

}  // namespace trimtab
