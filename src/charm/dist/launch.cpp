#include "charm/dist/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <thread>

#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/base/parallel.h"

namespace charm::dist {
namespace {

/// Environment variables of one launcher.
struct Names {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_size;  ///< null: unknown, one node is assumed
  const char* job;         ///< job id, distinguishes jobs on one node
};

constexpr Names kLaunchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
     "PMIX_NAMESPACE"},
    {"mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", "PMI_ID"},
    // SLURM_NTASKS is also set for programs that a batch script runs without srun;
    // SLURM_STEP_NUM_TASKS is not.
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_TASKS_PER_NODE", "SLURM_JOB_ID"},
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

/// 20000 .. 29999.
std::uint16_t port_of(const std::string& job) {
  const std::string hash = sha256_hex(job);
  return static_cast<std::uint16_t>(20000 + std::stoul(hash.substr(0, 6), nullptr, 16) % 10000);
}

}  // namespace

Launch read_launch(const EnvironmentFn& environment) {
  constexpr int kMost = 1 << 20;
  Launch launch;
  for (const Names& names : kLaunchers) {
    const auto rank = environment(names.rank);
    const auto size = environment(names.size);
    if (!rank || !size) continue;
    launch.launcher = names.launcher;
    launch.size = integer(names.size, *size, 1, kMost);
    launch.rank = integer(names.rank, *rank, 0, launch.size - 1);
    const auto local = environment(names.local_size);
    launch.local_size = local ? integer(names.local_size, *local, 1, kMost) : launch.size;
    const auto address = environment("MASTER_ADDR");
    const auto port = environment("MASTER_PORT");
    launch.host = address.value_or("127.0.0.1");
    launch.port = port ? static_cast<std::uint16_t>(integer("MASTER_PORT", *port, 1, 65535))
                       : port_of(environment(names.job).value_or("charm"));
    if (!address && launch.local_size < launch.size) {
      throw Error(ErrorKind::kUsage,
                  "{} processes, {} of them on this machine: set MASTER_ADDR to the name of rank "
                  "0's machine for all of them",
                  launch.size, launch.local_size);
    }
    launch.store_is_given = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
    launch.key_prefix = "charm/" + environment("TORCHELASTIC_RESTART_COUNT").value_or("0") + "/";
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

}  // namespace charm::dist
