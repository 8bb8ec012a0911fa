// SPDX-License-Identifier: Apache-2.0
//
// Limits of control groups, in made-up trees as hosts and containers of both versions show them.
#include "experiments/cgroup.h"

#include <gtest/gtest.h>

#include "data/temp_folder.h"

namespace trimtab {
namespace {

class Cgroup : public testing::Test {
 protected:
  // What /proc/self/cgroup says.
  void in(const std::string& lines) { folder_.write("groups", lines); }
  void file(const std::string& name, const std::string& text) { folder_.write("mount/" + name, text + "\n"); }
  CgroupMemory memory() const { return cgroup_memory(places()); }
  int cores() const { return cgroup_cores(places()); }

 private:
  CgroupPlaces places() const { return {folder_.file("mount"), folder_.file("groups")}; }
  TempFolder folder_;
};

TEST_F(Cgroup, TheLimitOfASlurmJobOfVersion2) {
  in("0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0\n");
  file("system.slice/slurmstepd.scope/job_7/step_0/user/task_0/memory.max", "max");
  file("system.slice/slurmstepd.scope/job_7/step_0/memory.max", "6000");
  file("system.slice/slurmstepd.scope/job_7/step_0/memory.current", "3000");
  file("system.slice/slurmstepd.scope/job_7/step_0/memory.stat", "anon 2500\ninactive_file 500\nfile 1");
  file("system.slice/slurmstepd.scope/job_7/memory.max", "8000");
  file("system.slice/slurmstepd.scope/job_7/memory.current", "7000");
  EXPECT_EQ(memory().limit, 6000u);
  EXPECT_EQ(memory().left, 1000u) << "another step of the job has taken what this one may";
}

TEST_F(Cgroup, TheRootOfAContainerOfVersion2) {
  in("0::/\n");
  file("memory.max", "5000");
  file("memory.current", "6000");
  file("cpu.max", "150000 100000");
  EXPECT_EQ(memory().limit, 5000u);
  EXPECT_EQ(memory().left, 0u);
  EXPECT_EQ(cores(), 2) << "one and a half is rounded up";
}

TEST_F(Cgroup, TheLeastQuotaUpToTheRoot) {
  in("0::/a/b\n");
  file("a/b/cpu.max", "max 100000");
  file("a/cpu.max", "300000 100000");
  file("cpu.max", "800000 100000");
  EXPECT_EQ(cores(), 3);
}

TEST_F(Cgroup, Version1) {
  in("5:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm/job_7\n1:name=systemd:/\n0::/other\n");
  file("memory/slurm/job_7/memory.limit_in_bytes", "9223372036854771712");
  file("memory/slurm/memory.limit_in_bytes", "7000");
  file("memory/slurm/memory.usage_in_bytes", "2000");
  file("memory/slurm/memory.stat", "inactive_file 1\ntotal_inactive_file 500");
  file("memory/memory.limit_in_bytes", "9223372036854771712");
  file("cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us", "-1");
  file("cpu,cpuacct/slurm/job_7/cpu.cfs_period_us", "100000");
  file("cpu,cpuacct/slurm/cpu.cfs_quota_us", "50000");
  file("cpu,cpuacct/slurm/cpu.cfs_period_us", "100000");
  file("other/memory.max", "1");
  EXPECT_EQ(memory().limit, 7000u);
  EXPECT_EQ(memory().left, 5500u);
  EXPECT_EQ(cores(), 1);
}

// Its groups are named as the host has them, its mount begins with its own.
TEST_F(Cgroup, AContainerOfVersion1) {
  in("3:memory:/docker/123\n2:cpu:/docker/123\n");
  file("memory/memory.limit_in_bytes", "4000");
  file("cpu/cpu.cfs_quota_us", "400000");
  file("cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(memory().limit, 4000u);
  EXPECT_EQ(memory().left, 4000u);
  EXPECT_EQ(cores(), 4);
}

TEST_F(Cgroup, NoLimits) {
  EXPECT_EQ(memory().limit, 0u) << "nothing can be read";
  EXPECT_EQ(cores(), 0);
  in("0::/a\n");
  file("a/memory.max", "max");
  file("a/cpu.max", "max 100000");
  EXPECT_EQ(memory().limit, 0u);
  EXPECT_EQ(cores(), 0);
}

}  // namespace
}  // namespace trimtab
