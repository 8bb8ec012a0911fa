// SPDX-License-Identifier: Apache-2.0
#include "experiments/model_import.h"

#include "experiments/base_hash.h"
#include "experiments/scratch_folder.h"
#include "experiments/vocabulary_file.h"
#include "models/family.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string fault_of_vocabulary(const BaseModel& model) {
  const ScratchFolder scratch;
  try {
    open_vocabulary("", model, scratch.path())->check_fits(model.vocabulary());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

ImportedModel import_model(const std::string& source, const std::string& out, DType type) {
  const auto model = open_model(source);
  weights_hash(model->weights());  // reads all of them, and refuses what a run would refuse
  ImportedModel imported;
  imported.has_vocabulary = !model->tokenizer().bytes.empty();
  if (imported.has_vocabulary) imported.vocabulary_fault = fault_of_vocabulary(*model);
  model->save(out, type);
  imported.parameters = open_model(out)->parameter_count();
  return imported;
}

}  // namespace trimtab
