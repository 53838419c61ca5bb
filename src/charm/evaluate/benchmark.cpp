#include "charm/evaluate/benchmark.h"

#include "charm/base/error.h"

namespace charm::evaluate {

Benchmark parse_benchmark(std::string_view name) {
  for (Benchmark benchmark : {Benchmark::kRewardBench, Benchmark::kRmBench, Benchmark::kArena}) {
    if (name == benchmark_name(benchmark)) return benchmark;
  }
  throw Error(ErrorKind::kUsage,
              "unknown benchmark '{}'; known are reward-bench (version 1), rm-bench and arena",
              name);
}

std::string_view benchmark_name(Benchmark benchmark) {
  switch (benchmark) {
    case Benchmark::kRewardBench:
      return "reward-bench";
    case Benchmark::kRmBench:
      return "rm-bench";
    case Benchmark::kArena:
      return "arena";
  }
  return "?";
}

}  // namespace charm::evaluate
