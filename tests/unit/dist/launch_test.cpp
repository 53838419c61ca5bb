#include "charm/dist/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "charm/base/error.h"

namespace charm::dist {
namespace {

Launch launch_of(const std::map<std::string, std::string>& variables) {
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
  const Launch launch = launch_of({{"RANK", "3"},
                                   {"WORLD_SIZE", "8"},
                                   {"LOCAL_WORLD_SIZE", "4"},
                                   {"MASTER_ADDR", "node7"},
                                   {"MASTER_PORT", "29401"},
                                   {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                   {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(launch.launcher, "torchrun");
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.size, 8);
  EXPECT_EQ(launch.local_size, 4);
  EXPECT_EQ(launch.host, "node7");
  EXPECT_EQ(launch.port, 29401);
  EXPECT_TRUE(launch.store_is_given);
  EXPECT_EQ(launch.key_prefix, "charm/2/");
}

TEST(Launch, ReadsOpenMpiAndGivesTwoJobsTwoPorts) {
  const auto job = [](const std::string& name) {
    return launch_of({{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                      {"PMIX_NAMESPACE", name}});
  };
  EXPECT_EQ(job("123").launcher, "mpirun");
  EXPECT_EQ(job("123").rank, 1);
  EXPECT_EQ(job("123").host, "127.0.0.1");
  EXPECT_EQ(job("123").port, job("123").port);
  EXPECT_NE(job("123").port, job("124").port);
}

TEST(Launch, ReadsSrunButNotABatchScript) {
  const Launch launch = launch_of({{"SLURM_PROCID", "2"},
                                   {"SLURM_STEP_NUM_TASKS", "4"},
                                   {"SLURM_TASKS_PER_NODE", "2(x2)"},
                                   {"MASTER_ADDR", "node1"},
                                   {"SLURM_JOB_ID", "77"}});
  EXPECT_EQ(launch.launcher, "srun");
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.local_size, 2);
  EXPECT_EQ(launch_of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}).size, 1);
}

TEST(Launch, RefusesWhatMakesNoSense) {
  for (const auto& variables :
       {std::map<std::string, std::string>{{"RANK", "2"}, {"WORLD_SIZE", "2"}},
        std::map<std::string, std::string>{{"RANK", "x"}, {"WORLD_SIZE", "2"}},
        std::map<std::string, std::string>{{"RANK", "0"}, {"WORLD_SIZE", "0"}},
        std::map<std::string, std::string>{
            {"RANK", "0"}, {"WORLD_SIZE", "4"}, {"LOCAL_WORLD_SIZE", "2"}}}) {
    try {
      launch_of(variables);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

}  // namespace
}  // namespace charm::dist
