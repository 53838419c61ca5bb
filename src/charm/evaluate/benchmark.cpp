#include "charm/evaluate/benchmark.h"

#include <cmath>
#include <string>

#include "charm/base/error.h"

namespace charm::evaluate {

namespace {

constexpr Benchmark kBenchmarks[] = {
    Benchmark::kRewardBench, Benchmark::kRewardBench2, Benchmark::kRmBench,
    Benchmark::kJudgeBench,  Benchmark::kRmb,          Benchmark::kPpe,
    Benchmark::kArena,       Benchmark::kVotes,        Benchmark::kBestOfN};

std::string without_hyphens(std::string_view name) {
  std::string text(name);
  std::erase(text, '-');
  return text;
}

}  // namespace

std::vector<std::string_view> benchmark_names() {
  std::vector<std::string_view> names;
  for (const Benchmark benchmark : kBenchmarks) names.push_back(benchmark_name(benchmark));
  return names;
}

Benchmark parse_benchmark(std::string_view name) {
  for (const Benchmark benchmark : kBenchmarks) {
    if (without_hyphens(name) == without_hyphens(benchmark_name(benchmark))) return benchmark;
  }
  throw Error(ErrorKind::kUsage,
              "unknown benchmark '{}'; known are reward-bench (version 1), reward-bench-2, "
              "rm-bench, judge-bench, rmb, ppe, arena, votes and best-of-n",
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
    case Benchmark::kJudgeBench:
      return "judge-bench";
    case Benchmark::kRmb:
      return "rmb";
    case Benchmark::kPpe:
      return "ppe";
    case Benchmark::kArena:
      return "arena";
    case Benchmark::kVotes:
      return "votes";
    case Benchmark::kBestOfN:
      return "best-of-n";
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
