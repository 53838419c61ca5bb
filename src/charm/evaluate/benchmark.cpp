#include "charm/evaluate/benchmark.h"

#include <cmath>

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

std::string estimate_text(const Estimate& estimate) {
  if (!std::isfinite(estimate.value)) return "undefined";
  return estimate.ci95 ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", estimate.value, estimate.ci95->lo,
                                     estimate.ci95->hi)
                       : fmt::format("{:.4f}", estimate.value);
}

}  // namespace charm::evaluate
