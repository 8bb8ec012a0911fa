// SPDX-License-Identifier: Apache-2.0
//
// The verbs of the program. Each file adds one: its flags, its help with an example, and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace trimtab {

struct Verb {
  CLI::App* app = nullptr;
  std::function<int()> run;  // -> exit code
};

Verb add_train(CLI::App& program);
Verb add_evaluate(CLI::App& program);
Verb add_predict(CLI::App& program);
Verb add_compare(CLI::App& program);
Verb add_report(CLI::App& program);
Verb add_status(CLI::App& program);
Verb add_pretrain(CLI::App& program);
Verb add_import(CLI::App& program);
Verb add_export(CLI::App& program);
Verb add_inspect(CLI::App& program);
Verb add_plan(CLI::App& program);
Verb add_vocabulary(CLI::App& program);
Verb add_doctor(CLI::App& program);
Verb add_preflight(CLI::App& program);
Verb add_launch(CLI::App& program);

}  // namespace trimtab
