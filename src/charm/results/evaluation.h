#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/results/audit.h"
#include "charm/results/metrics.h"

namespace charm::results {

/// A subset with fewer or more rows than the benchmark.
struct MissingRows {
  std::string subset;
  std::int64_t num_rows = 0;
  std::int64_t expected_rows = 0;
};

/// Rows that are missing in all.
std::int64_t num_missing_rows(const std::vector<MissingRows>& incomplete);

/// Calibration of the pair probabilities that scores imply, and correlation of scores with length.
struct PairNumbers {
  Metrics probabilities{};
  std::vector<Metrics> bins{};  ///< of confidence
  double bin_width = 1.0;       ///< of margins, score units
  std::vector<double> edges{};
  std::vector<std::int64_t> counts{};
  Metrics length{};
  std::vector<BenchmarkPart> probabilities_of_subsets{}, length_of_subsets{};
};

/// The bootstrap behind the intervals of a result.
struct BootstrapFacts {
  std::int64_t draws = 0;
  std::uint64_t seed = 0;
};

/// The file of `charm evaluate`, whatever the benchmark.
struct Evaluation {
  static constexpr int kVersion = 1;
  struct Sampling {
    std::int64_t limit_per_subset = 0;
    std::uint64_t seed = 0;
  };
  std::string benchmark;
  std::string model{};
  std::optional<Sampling> sampling{};
  Metrics mean_score{}, win_rate{};       ///< arena: correlations with the ratings
  Metrics overall{};                      ///< "overall", "overall_partial", "hard", counts of rows
  std::string temperature_source{};       ///< votes
  std::vector<BenchmarkPart> sections{};  ///< RM-Bench: domains
  std::vector<BenchmarkPart> subsets{};
  Metrics ties_subset{};                                       ///< RewardBench 2
  std::optional<std::vector<std::string>> missing_sections{};  ///< RM-Bench: domains
  std::optional<std::vector<MissingRows>> incomplete{};
  std::vector<BenchmarkPart>
      predictions{};  ///< votes: "without_offsets", "with_offsets", "difference"
  std::vector<BenchmarkPart> policies{};  ///< arena
  std::vector<PicksOfN> picks{};          ///< best-of-n: one per n
  std::optional<std::vector<std::string>> warnings{};
  std::optional<double> holdout{};  ///< votes: share of the prompts
  std::optional<PairNumbers> pairs{};
  std::int64_t num_bad_rows = 0;
  BootstrapFacts bootstrap{};

  /// Throws kInput for an unknown section.
  const Metrics& section(const std::string& name) const;
  /// Elo points by policy; arena.
  std::map<std::string, double> ratings() const;
};

nlohmann::ordered_json to_json(const Evaluation& evaluation);
/// Without what says which run it was: benchmark, model, sampling, bad rows, bootstrap.
nlohmann::ordered_json numbers_json(const Evaluation& evaluation);

/// Throws kInput naming the file and the member. Reads `numbers_json` as well.
Evaluation read_evaluation(const nlohmann::ordered_json& json, const std::string& file);
Evaluation read_evaluation(const std::filesystem::path& path);

}  // namespace charm::results
