#pragma once

#include <functional>
#include <optional>
#include <string>

namespace charm {

/// Place of this process among those that a launcher started, from the environment.
struct Launch {
  std::string launcher;  ///< "mpirun", "torchrun", "srun"; empty: a single process
  int rank = 0;          ///< [0, size)
  int size = 1;
  int local_size = 1;  ///< processes on this machine
};

/// Value of an environment variable; empty when it is not set.
using EnvironmentFn = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads, in this order, torchrun's variables (RANK, WORLD_SIZE, LOCAL_WORLD_SIZE), those of Open
/// MPI (OMPI_COMM_WORLD_*), of MPICH and Intel MPI (PMI_RANK, PMI_SIZE) and of srun (SLURM_PROCID
/// with SLURM_STEP_NUM_TASKS or SLURM_NTASKS). A batch script that runs a program without srun has
/// one process, although Slurm sets SLURM_NTASKS there. Throws kUsage for invalid values.
Launch read_launch(const EnvironmentFn& environment);

/// The same from the process's own environment.
Launch read_launch();

/// Compute threads of this process: its processors, divided among the local processes unless the
/// launcher has bound each to its own.
int threads_per_process(const Launch& launch);

}  // namespace charm
