#include "charm/evaluate/benchmark.h"

#include <cmath>
#include <string>

#include "charm/base/error.h"

namespace charm::evaluate {

namespace {

/// In the order of the enumerators.
constexpr std::string_view kNames[] = {
    "reward-bench", "reward-bench-2", "rm-bench", "judge-bench", "rmb",
    "ppe",          "arena",          "votes",    "best-of-n"};

std::string without_hyphens(std::string_view name) {
  std::string text(name);
  std::erase(text, '-');
  return text;
}

}  // namespace

std::vector<std::string_view> benchmark_names() { return {std::begin(kNames), std::end(kNames)}; }

Benchmark parse_benchmark(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (without_hyphens(name) == without_hyphens(kNames[i])) return static_cast<Benchmark>(i);
  }
  throw Error(ErrorKind::kUsage,
              "unknown benchmark '{}'; known are reward-bench (version 1), reward-bench-2, "
              "rm-bench, judge-bench, rmb, ppe, arena, votes and best-of-n",
              name);
}

std::string_view benchmark_name(Benchmark benchmark) {
  return kNames[static_cast<std::size_t>(benchmark)];
}

std::string estimate_text(const Estimate& estimate) {
  if (!std::isfinite(estimate.value)) return "undefined";
  return estimate.ci95 ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", estimate.value, estimate.ci95->lo,
                                     estimate.ci95->hi)
                       : fmt::format("{:.4f}", estimate.value);
}

}  // namespace charm::evaluate
