#include "charm/base/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/expect_error.h"

namespace charm {
namespace {

using Variables = std::map<std::string, std::string>;

Launch launch_of(const Variables& variables) {
  return read_launch([&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

TEST(Launch, WithoutALauncherThereIsOneProcess) {
  const Launch launch = launch_of({{"PATH", "/bin"}});
  EXPECT_EQ(launch.size, 1);
  EXPECT_EQ(launch.rank, 0);
  EXPECT_EQ(launch.launcher, "");
}

TEST(Launch, ReadsTorchrun) {
  const Launch launch = launch_of(
      {{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"LOCAL_WORLD_SIZE", "4"}, {"MASTER_ADDR", "node7"}});
  EXPECT_EQ(launch.launcher, "torchrun");
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.size, 8);
  EXPECT_EQ(launch.local_size, 4);
}

TEST(Launch, ReadsOpenMpiAndMpich) {
  Launch launch = launch_of({{"OMPI_COMM_WORLD_RANK", "1"},
                             {"OMPI_COMM_WORLD_SIZE", "4"},
                             {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  EXPECT_EQ(launch.launcher, "mpirun");
  EXPECT_EQ(launch.rank, 1);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_size, 2);
  launch = launch_of({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}});
  EXPECT_EQ(launch.launcher, "mpirun");
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.size, 3);
}

TEST(Launch, TheLauncherNearestToTheProcessCounts) {
  // mpirun or torchrun inside of a Slurm step: Slurm knows one task, they start four.
  const Variables step = {
      {"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_JOB_ID", "77"}};
  Variables mpi = step, torch = step;
  mpi.insert({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}});
  torch.insert({{"RANK", "2"}, {"WORLD_SIZE", "4"}});
  EXPECT_EQ(launch_of(mpi).rank, 3);
  EXPECT_EQ(launch_of(torch).rank, 2);
}

TEST(Launch, ReadsSrunButNotABatchScript) {
  Launch launch = launch_of({{"SLURM_PROCID", "2"},
                             {"SLURM_STEP_NUM_TASKS", "4"},
                             {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
                             {"SLURM_NTASKS", "8"},
                             {"SLURM_JOB_ID", "77"}});
  EXPECT_EQ(launch.launcher, "srun");
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_size, 2);
  // Where only the task's own two variables were passed on, as into a container.
  launch = launch_of({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}});
  EXPECT_EQ(launch.rank, 1);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch_of({{"SLURM_JOB_ID", "77"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}).size,
            1);
}

TEST(Launch, RefusesWhatMakesNoSense) {
  EXPECT_ERROR(kUsage, "RANK", launch_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}}));
  EXPECT_ERROR(kUsage, "found 'x'", launch_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}}));
  EXPECT_ERROR(kUsage, "WORLD_SIZE", launch_of({{"RANK", "0"}, {"WORLD_SIZE", "0"}}));
}

TEST(Launch, ProcessesOfOneMachineShareItsProcessors) {
  Launch launch;
  const int all = threads_per_process(launch);
  launch.local_size = 1000;
  EXPECT_GE(all, threads_per_process(launch));
  EXPECT_GE(threads_per_process(launch), 1);
}

}  // namespace
}  // namespace charm
