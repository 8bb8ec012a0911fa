// SPDX-License-Identifier: Apache-2.0
//
// What a run trained, as an adapter that PEFT loads, and adapters and prompts of others as checkpoints that
// evaluate and predict take. Both look at the base model, since names, shapes and the turning of keys depend
// on it, and since an adapter is worth nothing beside another one.
#pragma once

#include <string>
#include <vector>

#include "experiments/experiment_config.h"

namespace trimtab {

struct AdapterExport {
  std::string checkpoint;  // of a run
  std::string folder;      // to be written
  std::string weights;     // the base; empty: where the checkpoint says it was
  std::string base;        // base_model_name_or_path; empty: `weights`
};
// Throws ConfigError for another base than the checkpoint's, and for what PEFT does not compute. Gives a line
// for people.
std::string export_adapter(const AdapterExport& wanted);

struct AdapterImport {
  std::string source;      // an adapter of PEFT's, or a prompt as .npy
  std::string checkpoint;  // to be written
  std::string weights;     // the base
  std::string vocabulary;  // empty: the one in or beside the weights
  std::string base;        // what the adapter calls the base, if that cannot be known to be the same
};
struct ImportedAdapter {
  std::string method;              // the section of an experiment that it is used with, in YAML
  std::vector<std::string> notes;  // for people
};
// Throws ConfigError for an adapter of another base, width, method or number of rows; nothing is then
// written.
ImportedAdapter import_adapter(const AdapterImport& wanted);

// Of a run that begins with a prompt of a file (method.init: file) which says that it was trained on another
// base than the one of `base_hash`: a warning, for rows of the same width are taken as they are. ""
// otherwise.
std::string init_file_warning(const ExperimentConfig& config, const std::string& base_hash);

// Whether a path is what import_adapter() reads, and not a model.
bool is_adapter(const std::string& path);

}  // namespace trimtab
