#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace charm::dist {

/// Rank and rendezvous of this process, from the launcher's environment.
struct Launch {
  std::string launcher;  ///< "mpirun", "torchrun", "srun"; empty: a single process
  int rank = 0;
  int size = 1;
  int local_size = 1;  ///< processes on this machine
  std::string host;    ///< where rank 0 listens
  std::uint16_t port = 0;
  bool store_is_given = false;  ///< torchrun's agent hosts the store
  std::string key_prefix;       ///< separates the restarts of one torchrun
};

/// Value of an environment variable; empty when it is not set.
using EnvironmentFn = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads, in this order, torchrun's variables (RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR,
/// MASTER_PORT), those of Open MPI (OMPI_COMM_WORLD_*), of MPICH and Intel MPI (PMI_RANK, PMI_SIZE)
/// and of srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS). MASTER_ADDR and MASTER_PORT apply to all of
/// them; the default is this machine and a port derived from the job id. Throws kUsage for invalid
/// values.
Launch read_launch(const EnvironmentFn& environment);

/// The same from the process's own environment.
Launch read_launch();

/// Compute threads of this process: its processors, divided among the local processes unless the
/// launcher has bound each to its own.
int threads_per_process(const Launch& launch);

}  // namespace charm::dist
