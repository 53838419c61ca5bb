#include "charm/base/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <thread>

#include "charm/base/error.h"
#include "charm/base/parallel.h"

namespace charm {
namespace {

/// Environment variables of one launcher.
struct LauncherNames {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_size;
};

constexpr LauncherNames kLaunchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"},
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE"},
    {"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"},
};

int integer(const std::string& name, const std::string& text, int lowest, int highest) {
  int value = 0;
  // "4(x2)", as srun writes tasks per node, begins with the number.
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = end == text.data() + text.size() || *end == '(' || *end == ',';
  if (error != std::errc() || !whole || value < lowest || value > highest) {
    throw Error(ErrorKind::kUsage,
                "environment variable {}: expected a number from {} to {}, found '{}'", name,
                lowest, highest, text);
  }
  return value;
}

/// What a batch script itself runs is no step of srun: it has the job's SLURM_NTASKS, but no
/// SLURM_STEP_NUM_TASKS.
bool is_batch_script(const EnvironmentFn& environment) {
  return environment("SLURM_JOB_ID") && environment("SLURM_PROCID") == "0" &&
         !environment("SLURM_STEP_NUM_TASKS");
}

}  // namespace

Launch read_launch(const EnvironmentFn& environment) {
  constexpr int kMost = 1 << 20;
  Launch launch;
  for (const LauncherNames& names : kLaunchers) {
    const auto rank = environment(names.rank);
    const auto size = environment(names.size);
    if (!rank || !size) continue;
    if (std::string_view(names.launcher) == "srun" && is_batch_script(environment)) continue;
    launch.launcher = names.launcher;
    launch.size = integer(names.size, *size, 1, kMost);
    launch.rank = integer(names.rank, *rank, 0, launch.size - 1);
    const auto local = environment(names.local_size);
    launch.local_size = local ? integer(names.local_size, *local, 1, kMost) : launch.size;
    return launch;
  }
  return launch;
}

Launch read_launch() {
  return read_launch([](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

int threads_per_process(const Launch& launch) {
  const auto mine = static_cast<int>(available_processors());
  const bool bound = mine < static_cast<int>(std::thread::hardware_concurrency());
  return bound ? mine : std::max(1, mine / launch.local_size);
}

}  // namespace charm
