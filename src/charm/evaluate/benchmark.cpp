#include "charm/evaluate/benchmark.h"

#include "charm/base/error.h"

namespace charm::evaluate {

Benchmark parse_benchmark(std::string_view name) {
  for (Benchmark benchmark : {Benchmark::kRewardBench, Benchmark::kRewardBench2,
                              Benchmark::kRmBench, Benchmark::kArena}) {
    if (name == benchmark_name(benchmark)) return benchmark;
  }
  throw Error(ErrorKind::kUsage,
              "unknown benchmark '{}'; known are reward-bench (version 1), reward-bench-2, "
              "rm-bench and arena",
              name);
}

std::string_view benchmark_name(Benchmark benchmark) {
  switch (benchmark) {
    case Benchmark::kRewardBench:
      return "reward-bench";
    case Benchmark::kRewardBench2:
      return "reward-bench-2";
    case Benchmark::kRmBench:
      return "rm-bench";
    case Benchmark::kArena:
      return "arena";
  }
  return "?";
}

}  // namespace charm::evaluate
