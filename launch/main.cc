// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>
#include <vector>

#include "launch/guard.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/check.h"

namespace {

constexpr const char* kFooter = R"(Example:
  trimtab train experiments/quickstart/wordnet.yaml --set train.steps=200
  trimtab evaluate experiments/quickstart/wordnet.yaml
  trimtab predict experiments/quickstart/wordnet.yaml < definitions.txt

Exit codes: 0 done; 1 something failed while running; 2 the request makes no sense (nothing was started);
69 another job is at the run (the same command will do later); 75 stopped by a signal with its state
saved: the same command goes on from there (what only reads begins anew).)";

// What a warned job lost by ending at once would be its code, 75, by which it is started again. Others, such
// as predict at a terminal, end at once until they have begun.
void heed_signals_from_the_start(int argc, char** argv, char**) {
  constexpr std::string_view kVerbs[] = {"train", "compare", "evaluate", "pretrain"};
  if (argc > 1 && std::ranges::find(kVerbs, argv[1]) != std::end(kVerbs)) trimtab::catch_stop_signals();
}

// Before the constructors of the libraries, which take most of a short start: a quarter of a second.
[[gnu::section(".preinit_array"),
  gnu::used]] void (*const first_of_all)(int, char**, char**) = heed_signals_from_the_start;

}  // namespace

int main(int argc, char** argv) {
  using namespace trimtab;
  CLI::App app{"trimtab: prompt tuning of frozen language models"};
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", TRIMTAB_VERSION);
  const std::vector<Verb> verbs = {
      add_train(app),  add_evaluate(app),  add_predict(app), add_compare(app),    add_report(app),
      add_status(app), add_pretrain(app),  add_import(app),  add_export(app),     add_inspect(app),
      add_plan(app),   add_preflight(app), add_launch(app),  add_vocabulary(app), add_doctor(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    return guarded([&]() -> int { fail_config("{}; --help says what can be given", error.what()); });
  }
  ignore_file_limit_signal();
  return guarded([&] {
    for (const Verb& verb : verbs)
      if (verb.app->parsed()) return verb.run();
    return static_cast<int>(kImpossible);
  });
}
