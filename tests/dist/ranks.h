#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/program.h"

namespace charm::e2e {

/// One process per list of arguments, started as by torchrun. Outcomes are in order of rank.
inline std::vector<Outcome> run_ranks(const std::vector<std::vector<std::string>>& commands,
                                      const std::function<bool()>& kill_rank_1_when = {}) {
  std::vector<Outcome> outcomes(commands.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < commands.size(); ++rank) {
    threads.emplace_back([&, rank] {
      RunSetup setup;
      setup.environment = {{"RANK", std::to_string(rank)},
                           {"WORLD_SIZE", std::to_string(commands.size())}};
      if (rank == 1) setup.kill_when = kill_rank_1_when;
      outcomes[rank] = run_charm(commands[rank], setup);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

}  // namespace charm::e2e
