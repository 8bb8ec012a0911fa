// SPDX-License-Identifier: Apache-2.0
//
// trimtab status: what a folder tells of a run that starts, runs, has ended, was stopped, or is gone.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>

#include "experiments/run_lock.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> training(const Workshop& shop, int steps) {
  return {"train", shop.experiment(), "--set", "train.steps=" + std::to_string(steps),
          "--set", "train.journal=on"};
}

TEST(Status, OfARunThatEnded) {
  const Workshop shop;
  ASSERT_EQ(run_program(training(shop, 6)).code, 0);
  const Outcome status = run_program({"status", shop.path("run"), "--html", shop.path("status.html")});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out,
              AllOf(HasSubstr("tiny: finished\n"), HasSubstr("step 6 of 6, loss "), HasSubstr("best score "),
                    HasSubstr("checkpoint: 0:0"), Not(HasSubstr("rank"))));
  const std::string page = shop.read("status.html");
  // A score that is not a number is null in the log.
  shop.write("run/metrics.jsonl",
             shop.read("run/metrics.jsonl") + R"({"step":6,"kind":"validation","score":null})");
  EXPECT_EQ(run_program({"status", shop.path("run")}).out.find("tiny: finished\n"), 0U);
  EXPECT_THAT(page, AllOf(HasSubstr("<polyline points=\""), HasSubstr("loss: "), HasSubstr("score: "),
                          HasSubstr("</html>"), Not(HasSubstr("http-equiv=\"refresh\"")),
                          Not(HasSubstr("src=")), Not(HasSubstr("href="))));
}

TEST(Status, OfARunThatIsGoneOrWasStopped) {
  const Workshop shop;
  ASSERT_EQ(run_and_signal(training(shop, 100000), 12, SIGKILL).code, 128 + SIGKILL);
  EXPECT_THAT(run_program({"status", shop.path("run")}).out,
              AllOf(HasSubstr("tiny: gone"), HasSubstr(" of 100000"), HasSubstr("journal: 0:0")));
  ASSERT_EQ(run_and_signal(training(shop, 100000), 12, SIGTERM).code, 75);
  EXPECT_THAT(run_program({"status", shop.path("run")}).out, HasSubstr("tiny: interrupted\n"));
}

// What its record said before it went on is not how it is.
TEST(Status, OfARunThatWasStoppedWentOnAndWasKilled) {
  const Workshop shop;
  std::vector<std::string> run = training(shop, 100000);
  run.insert(run.end(), {"--set", "train.checkpoint_every=0", "--set", "train.evaluate_every=0"});
  ASSERT_EQ(run_and_signal(run, 8, SIGTERM).code, 75);
  ASSERT_THAT(run_program({"status", shop.path("run")}).out, HasSubstr("tiny: interrupted\n"));
  ASSERT_EQ(run_and_signal(run, 8, SIGKILL).code, 128 + SIGKILL);
  EXPECT_THAT(run_program({"status", shop.path("run")}).out, HasSubstr("tiny: gone\n"));
}

// It is shown again and again, and for a last time when it has ended; each loop below has an end.
TEST(Status, IsWatchedUntilNothingRuns) {
  const Workshop shop;
  const std::string program = "'" TRIMTAB_PROGRAM "'", run = "'" + shop.path("run") + "'",
                    shown = "'" + shop.path("shown") + "'", page = shop.path("status.html");
  const Outcome both =
      run_command({"bash", "-c",
                   program + " \"$@\" & job=$!; for i in {1..300}; do [ -s " + run +
                       "/metrics.jsonl ] && break; sleep 0.1; done; " + "timeout 60 " + program + " status " +
                       run + " --watch --html " + page + " > " + shown + " & watch=$!; " +
                       "for i in {1..300}; do [ \"$(grep -c 'tiny: running' " + shown +
                       ")\" -ge 2 ] && break; sleep 0.1; done; cp " + page + " " + page +
                       "-1; kill -TERM $job; wait $job; wait $watch",
                   "bash", "train", shop.experiment(), "--set", "train.steps=100000"});
  EXPECT_EQ(both.code, 0) << both.err;  // of the one that watches
  const std::string text = shop.read("shown");
  EXPECT_EQ(text.find("tiny: running (process "), 0U) << text;
  EXPECT_GT(text.rfind("tiny: running"), 0U) << text;
  EXPECT_THAT(text.substr(text.rfind("tiny: ")), HasSubstr("tiny: interrupted\n"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << "a file is not redrawn";
  EXPECT_THAT(shop.read("status.html-1"), HasSubstr("http-equiv=\"refresh\""));
  EXPECT_THAT(shop.read("status.html"), Not(HasSubstr("http-equiv=\"refresh\"")))
      << "nothing writes it again";
}

// The process that is shown is a rank, and ends the job when it is warned.
TEST(Status, OfARunThatRuns) {
  const Workshop shop;
  const std::string program = "'" TRIMTAB_PROGRAM "'", run = "'" + shop.path("run") + "'",
                    shown = "'" + shop.path("shown") + "'";
  const Outcome both = run_command(
      {"bash", "-c",
       TRIMTAB_MPIRUN " 2 " + program + " \"$@\" & job=$!; sleep 4; cd " + run +
           "/ranks; sed s/rank=1/rank=2/ rank-1.txt > rank-2.txt; " + program + " status " + run +
           " --html '" + shop.path("status.html") + "' | tee " + shown +
           "; kill -USR1 $(sed -n 's/.*running (process \\([0-9]*\\).*/\\1/p' " + shown + "); wait $job",
       "bash", "train", shop.experiment(), "--set", "train.steps=100000", "--set", "mesh.data=2"});
  EXPECT_EQ(both.code, 75) << both.err;
  EXPECT_THAT(both.out, AllOf(HasSubstr("tiny: running (process "), HasSubstr("s a step, "),
                              HasSubstr(" left"), HasSubstr("rank 0 on "), HasSubstr("rank 1 on "),
                              Not(HasSubstr("rank 2 on "))));  // of a larger mesh, before
  EXPECT_THAT(shop.read("status.html"),
              AllOf(HasSubstr("rank 1 on "), Not(HasSubstr("http-equiv=\"refresh\""))))
      << "nothing writes it again";
}

// Stopped, it says no more what it does, and its last words are of a rank in good health.
TEST(Status, OfARankThatIsStopped) {
  const Workshop shop;
  const std::string program = "'" TRIMTAB_PROGRAM "'", run = "'" + shop.path("run") + "'",
                    shown = "'" + shop.path("shown") + "'";
  const Outcome both = run_command(
      {"bash", "-c",
       TRIMTAB_MPIRUN " 2 " + program + " \"$@\" & job=$!; for i in {1..300}; do [ -s " + run +
           "/metrics.jsonl ] && break; sleep 0.1; done; rank=$(sed -n '1s/.*process=\\([0-9]*\\).*/\\1/p' " +
           run + "/ranks/rank-1.txt); kill -STOP $rank; for i in {1..100}; do " + program + " status " + run +
           " > " + shown + "; grep -q 'no sign' " + shown + " && break; sleep 0.1; done; cat " + shown +
           "; kill -CONT $rank; kill -USR1 $rank; wait $job",
       "bash", "train", shop.experiment(), "--set", "train.steps=100000", "--set", "mesh.data=2"});
  EXPECT_EQ(both.code, 75) << both.err;
  EXPECT_THAT(both.out, AllOf(ContainsRegex("rank 0 on [^ ]+: waiting for "),
                              ContainsRegex("rank 1 on [^ ]+: no sign of life for [0-9]+ s; last: ")));
}

TEST(Status, OfARunThatStarts) {
  const Workshop shop;
  const auto lock = try_lock_run(shop.path("run"));
  ASSERT_TRUE(lock);
  std::filesystem::create_directories(shop.path("run/ranks"));
  const Outcome status = run_program({"status", shop.path("run")});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, AllOf(HasSubstr("run: starting (process "), HasSubstr("\nno step yet\n")));
}

TEST(Status, OfSeveralRunsAndOfNone) {
  const Workshop shop;
  const std::string file =
      shop.write("compare.yaml", "name: many\noutput: " + shop.path("all") +
                                     "\nbase: experiment.yaml\ngrid: {train.seed: [1, 2]}\n");
  ASSERT_EQ(run_program({"compare", file}).code, 0);
  EXPECT_THAT(run_program({"status", shop.path("all")}).out,
              AllOf(HasSubstr(shop.path("all/seed=1  finished; step 6 of 6")),
                    HasSubstr(shop.path("all/seed=2  finished; step 6 of 6"))));
  // One that is damaged hides no other.
  shop.write("all/seed=1/record.json", "{");
  shop.write("all/seed=2/metrics.jsonl",
             shop.read("all/seed=2/metrics.jsonl") + R"({"step":"six","kind":"train"})");
  const Outcome damaged = run_program({"status", shop.path("all")});
  EXPECT_EQ(damaged.code, 0) << damaged.err;
  EXPECT_THAT(damaged.out, AllOf(HasSubstr(shop.path("all/seed=1  unknown: ")), HasSubstr("record.json"),
                                 HasSubstr(shop.path("all/seed=2  finished; step 6 of 6"))));
  const Outcome none = run_program({"status", shop.path("nowhere")});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("there is no run in it"));
}

}  // namespace
}  // namespace trimtab::testing
