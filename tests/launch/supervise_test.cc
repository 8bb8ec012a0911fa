// SPDX-License-Identifier: Apache-2.0
//
// launch/supervise: a job that loses ranks ends as an undisturbed one, a request that makes no sense is not
// tried again, and a job that makes no step is not started for ever.
#include <gmock/gmock.h>

#include <filesystem>

#include "experiments/checkpoint.h"
#include "experiments/run_lock.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> training(const Workshop& shop, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"train", shop.experiment()};
  std::vector<std::string> all = {
      "output=" + shop.path("run"), "mesh={data: 2, pipe: 2}", "train.steps=12",
      "train.checkpoint_every=0",   "train.journal=on",        "train.micro_batch_tokens=48"};
  all.insert(all.end(), more.begin(), more.end());
  for (const std::string& option : all) {
    arguments.emplace_back("--set");
    arguments.push_back(option);
  }
  return arguments;
}

Outcome supervise(const std::vector<std::string>& options, const std::vector<std::string>& command,
                  const std::string& fault = "") {
  std::vector<std::string> all = {"env", "TRIMTAB_FAULT=" + fault, TRIMTAB_SOURCE "/launch/supervise",
                                  "--pause", "0"};
  all.insert(all.end(), options.begin(), options.end());
  all.emplace_back("--");
  all.insert(all.end(), command.begin(), command.end());
  return run_command(all);
}

// A rank dies in every seventh step that it makes.
TEST(Supervise, AJobThatLosesRanksEndsAsAnUndisturbedOne) {
  const Workshop shop;
  ASSERT_EQ(run_on_ranks(4, training(shop)).code, 0);
  const std::string last = shop.read("run/last.h5"), best = shop.read("run/best.h5");
  std::filesystem::remove_all(shop.path("run"));
  const Outcome outcome =
      supervise({"--run", shop.path("run")}, faulty_command(4, training(shop)), "3 update 7 kill");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("restart 1 of 10"), HasSubstr("going on after step")));
  EXPECT_TRUE(shop.read("run/last.h5") == last);
  EXPECT_TRUE(shop.read("run/best.h5") == best);
  EXPECT_TRUE(processes_left(shop.path("run")).empty());
}

TEST(Supervise, GoesOnOnFewerRanks) {
  const Workshop shop;
  const Outcome outcome = supervise(
      {"--run", shop.path("run"), "--then", "NOTE=fewer --set 'mesh={data: 1, pipe: 1}'"},
      {"bash", "-c",
       "if [ \"${NOTE:-}\" = fewer ]; then exec '" TRIMTAB_PROGRAM "' \"$@\"; fi; exec $0 \"$@\"",
       TRIMTAB_MPIRUN " 4 " TRIMTAB_FAULTY, "train", shop.experiment(), "--set", "output=" + shop.path("run"),
       "--set", "train.steps=12", "--set", "train.journal=on", "--set", "mesh={data: 2, pipe: 2}"},
      "1 update 5 kill");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Checkpoint(shop.path("run/last.h5")).info().step, 12);
  EXPECT_THAT(outcome.err, HasSubstr("going on after step"));
}

TEST(Supervise, OldRestartsAreForgotten) {
  const Workshop shop;
  // Ends with 1 in its first four starts.
  const std::string job = "echo x >> '" + shop.path("starts") + "'; sleep 1.1; [ $(wc -l < '" +
                          shop.path("starts") + "') -gt 4 ]";
  const Outcome all = supervise({"--restarts", "2", "--window", "2"}, {"bash", "-c", job});
  EXPECT_EQ(all.code, 0) << all.err;
  std::filesystem::remove(shop.path("starts"));
  const Outcome few = supervise({"--restarts", "2"}, {"bash", "-c", job});
  EXPECT_EQ(few.code, 1);
  EXPECT_THAT(few.err, HasSubstr("2 restarts in 86400 s are all that"));
}

TEST(Supervise, KnowsWhatIsNoFaultOfAMachine) {
  const Workshop shop;
  const Outcome asked =
      supervise({}, {TRIMTAB_PROGRAM, "train", shop.experiment(), "--set", "train.stepz=3"});
  EXPECT_EQ(asked.code, 2);
  EXPECT_THAT(asked.err, Not(HasSubstr("restart")));
  // It dies before its first step each time.
  const Outcome idle =
      supervise({"--run", shop.path("run")}, faulty_command(4, training(shop)), "2 forward 1 exit");
  EXPECT_NE(idle.code, 0);
  EXPECT_THAT(idle.err, AllOf(HasSubstr("restart 2 of 10"), HasSubstr("three starts in a row made no step"),
                              Not(HasSubstr("restart 3"))));
  const Outcome limit = supervise({"--restarts", "1"}, {"false"});
  EXPECT_EQ(limit.code, 1);
  EXPECT_THAT(limit.err, HasSubstr("1 restarts in 86400 s are all"));
  EXPECT_EQ(supervise({"--restart", "1"}, {"true"}).code, 2);
  const Outcome quote = supervise({"--then", "--set 'x=1"}, {"true"});
  EXPECT_EQ(quote.code, 2);
  EXPECT_THAT(quote.err, HasSubstr("--then '--set 'x=1': these are no words of a shell"));
  const Outcome nothing = supervise({}, {shop.path("nosuch")});
  EXPECT_EQ(nothing.code, 127);
  EXPECT_THAT(nothing.err, AllOf(HasSubstr("nosuch cannot be started"), Not(HasSubstr("restart"))));
  EXPECT_EQ(supervise({"--pause", "08", "--restarts", "09"}, {"true"}).code, 0);
}

TEST(Supervise, VariablesMayHaveDigits) {
  const Workshop shop;
  const Outcome outcome = supervise(
      {"--then", "NCCL_P2P_DISABLE=1 ranks=4 --set x=1"},
      {"bash", "-c", "echo \"${NCCL_P2P_DISABLE:-} ${ranks:-} $*\" >> $0/seen; [ $(wc -l < $0/seen) -gt 1 ]",
       shop.path("")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(shop.read("seen"), "  \n1 4 --set x=1\n");
}

// As the ranks of a host that was cut off have it until their own limit: more starts than there are restarts,
// none of which makes a step.
TEST(Supervise, WaitsWhileTheFolderIsTaken) {
  const Workshop shop;
  const Outcome outcome = supervise(
      {"--run", shop.path("run"), "--restarts", "1", "--then", "again"},
      {"bash", "-c",
       "echo \"start $*\" >> $0/starts; case $(wc -l < $0/starts) in 1) exit 1;; [2-6]) exit 69;; esac",
       shop.path("")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(shop.read("starts"),
            "start \nstart again\nstart again\nstart again\nstart again\nstart again\nstart again\n");
  const auto told = outcome.err.find("another job has the run's folder");
  EXPECT_NE(told, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("another job", told + 1), std::string::npos) << outcome.err;
}

TEST(Supervise, AJobOfRanksTellsThatTheFolderIsTaken) {
  const Workshop shop;
  auto lock = try_lock_run(shop.path("run"));
  ASSERT_TRUE(lock);
  std::vector<std::string> command = {
      "bash", "-c",
      "\"$@\"; code=$?; echo \"$code\" >> $0/codes; [ $(wc -l < $0/codes) -lt 4 ] || exit 2; exit $code",
      shop.path("")};
  for (const std::string& word : faulty_command(4, training(shop))) command.push_back(word);
  const Outcome outcome = supervise({"--run", shop.path("run")}, command);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_EQ(shop.read("codes"), "69\n69\n69\n69\n") << outcome.err;
}

TEST(Supervise, PassesSignalsOnAndStops) {
  const Outcome outcome = run_command(
      {"bash", "-c",
       "'" TRIMTAB_SOURCE
       "/launch/supervise' --pause 0 -- bash -c 'trap \"exit 75\" USR1; while :; do sleep 0.1; done' &"
       " job=$!; sleep 1; kill -USR1 $job; wait $job"});
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("restart")));
}

// What a shell starts behind & ignores SIGINT, and a job that is a script could not trap it.
TEST(Supervise, PassesAnInterruptOnToAScript) {
  const Outcome outcome = run_command({"bash", "-c",
                                       "env --default-signal=INT '" TRIMTAB_SOURCE
                                       "/launch/supervise' --pause 0 -- bash -c 'trap \"exit 75\" INT; for i "
                                       "in {1..100}; do sleep 0.1; done' &"
                                       " job=$!; sleep 1; kill -INT $job; wait $job"});
  EXPECT_EQ(outcome.code, 75) << outcome.err;
}

// The job's code is the one that counts also where it ends at once.
TEST(Supervise, StoppedInAPauseItEndsAtOnceAndLeavesNothing) {
  const Outcome outcome =
      run_command({"bash", "-c",
                   "'" TRIMTAB_SOURCE
                   "/launch/supervise' --pause 271 -- false & job=$!; sleep 1; kill -TERM $job; wait $job"});
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_TRUE(processes_left("sleep 271").empty());
}

// As mpirun's ranks are, and with launch/mpirun.sh mpirun itself.
TEST(Supervise, LeavesNoProcessOfAnotherSession) {
  const Workshop shop;
  const Outcome outcome = run_command({TRIMTAB_SOURCE "/launch/supervise", "--", "bash", "-c",
                                       "setsid bash -c 'while :; do sleep 0.1; done; # " + shop.path("rank") +
                                           "' > /dev/null 2>&1 & exit 0"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(processes_left(shop.path("rank")).empty());
}

// Its own host is not asked, the others by what mpirun would reach them with.
TEST(Supervise, LeavesOutHostsThatDoNotAnswer) {
  const Workshop shop;
  shop.write("reach", "#!/bin/bash\n[ \"$*\" = 'near true' ]\n");
  for (const std::string shell :
       {"trimtab_shell=$0/reach", "trimtab_shell=false OMPI_MCA_plm_rsh_agent=$0/reach"}) {
    const Outcome outcome = run_command(
        {"bash", "-c",
         "chmod +x $0/reach && rm -f $0/seen && export hosts=$(hostname):2,near:2,silent:2,127.0.0.1:1 " +
             shell +
             " && exec '" TRIMTAB_SOURCE "/launch/supervise' --pause 0 -- "
             "bash -c 'echo $hosts >> $0/seen; [ $(wc -l < $0/seen) = 2 ]' $0",
         shop.path("")});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("silent does not answer: left out"));
    EXPECT_THAT(shop.read("seen"),
                AllOf(HasSubstr(":2,near:2,silent:2,127.0.0.1:1\n"), HasSubstr(":2,near:2,127.0.0.1:1\n")));
  }
}

// Steps that are saved but not logged (train.log_every) are steps.
TEST(Supervise, SavedStepsAreProgress) {
  const Workshop shop;
  const Outcome outcome =
      run_command({TRIMTAB_SOURCE "/launch/supervise", "--pause", "0", "--restarts", "5", "--run",
                   shop.path("run"), "--", "bash", "-c",
                   "mkdir -p $0; : > $0/new; mv $0/new $0/journal-0.h5; echo start >> $0/starts; "
                   "[ $(wc -l < $0/starts) -lt 5 ] || exit 0; exit 1",
                   shop.path("run")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(shop.read("run/starts"), "start\nstart\nstart\nstart\nstart\n");
}

}  // namespace
}  // namespace trimtab::testing
