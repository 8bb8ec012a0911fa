// SPDX-License-Identifier: Apache-2.0
#include "parallel/shared_by_stages.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <map>

#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The names that `stage` has, on every stage. No name holds a line break.
std::vector<std::string> names_of_stage(const Parameters& own, int stage, Communicator& pipe) {
  std::string text;
  if (stage == pipe.rank())
    for (const Parameter& parameter : own) text += parameter.name + '\n';
  std::int64_t size = static_cast<std::int64_t>(text.size());
  pipe.broadcast({&size, 1, DType::kInt64}, stage, Traffic::kControl);
  std::vector<std::int32_t> letters(text.begin(), text.end());
  letters.resize(static_cast<std::size_t>(size));
  pipe.broadcast({letters.data(), size, DType::kInt32}, stage, Traffic::kControl);
  std::vector<std::string> names(1);
  for (const std::int32_t letter : letters) {
    if (letter == '\n')
      names.emplace_back();
    else
      names.back().push_back(static_cast<char>(letter));
  }
  names.pop_back();
  return names;
}

const Parameter& find(const Parameters& parameters, const std::string& name) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == name; });
  TT_CHECK(found != parameters.end(), "{} is shared by stages, but not among the parameters any more", name);
  return *found;
}

at::Tensor gradient_of(const Parameter& parameter) {
  if (!parameter.leaf.grad().defined())
    parameter.leaf.mutable_grad() = at::zeros_like(parameter.leaf.detach());
  return parameter.grad();
}

}  // namespace

SharedByStages::SharedByStages(const Parameters& parameters, Communicator& pipe) : pipe_(pipe) {
  if (pipe.size() == 1) return;
  std::map<std::string, std::vector<int>> stages;
  for (int stage = 0; stage < pipe.size(); ++stage)
    for (const std::string& name : names_of_stage(parameters, stage, pipe)) stages[name].push_back(stage);
  for (const auto& [name, holders] : stages)
    if (holders.size() > 1 && std::find(holders.begin(), holders.end(), pipe.rank()) != holders.end())
      shared_.push_back({name, holders});
}

void SharedByStages::sum(const Parameters& parameters) {
  if (shared_.empty()) return;
  std::vector<Send> sends;
  std::vector<Receive> receives;
  std::vector<std::vector<at::Tensor>> copies;  // of each shared parameter, by holder
  for (const Shared& shared : shared_) {
    const at::Tensor own = gradient_of(find(parameters, shared.name)).contiguous();
    copies.emplace_back();
    for (const int stage : shared.stages) {
      const bool here = stage == pipe_.rank();
      copies.back().push_back(here ? own : at::empty(own.sizes(), own.options()));
      if (here) continue;
      sends.push_back({stage, buffer_of(own)});
      receives.push_back({stage, buffer_of(copies.back().back())});
    }
  }
  pipe_.exchange(sends, receives, Traffic::kGradient);
  for (std::size_t i = 0; i < shared_.size(); ++i) {
    at::Tensor total = copies[i].front().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    for (std::size_t k = 1; k < copies[i].size(); ++k) total.add_(copies[i][k]);
    gradient_of(find(parameters, shared_[i].name)).copy_(total);
  }
}

std::vector<std::string> SharedByStages::names() const {
  std::vector<std::string> names;
  for (const Shared& shared : shared_) names.push_back(shared.name);
  return names;
}

bool SharedByStages::counts_here(const std::string& name) const {
  for (const Shared& shared : shared_)
    if (shared.name == name) return shared.stages.front() == pipe_.rank();
  return true;
}

}  // namespace trimtab
