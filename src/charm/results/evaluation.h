#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/results/audit.h"
#include "charm/results/estimate.h"

namespace charm::results {

class Fields;

/// Version of the files of `charm evaluate`.
inline constexpr int kEvaluationVersion = 1;

/// The numbers of one object of a result file by their names, with their intervals.
struct Metrics {
  std::vector<std::pair<std::string, Estimate>> values;

  std::optional<Estimate> find(std::string_view name) const;
};

/// Of a number per policy with the ratings; NaN where undefined.
struct Correlations {
  Estimate spearman;  ///< of average ranks
  Estimate kendall;   ///< tau-b
  Estimate pearson;
};
nlohmann::ordered_json to_json(const Correlations& correlations,
                               NoInterval no_interval = NoInterval::kOmit);
Correlations read_correlations(const Fields& fields);

/// A section, domain or subset of a benchmark.
struct BenchmarkPart {
  std::string name;
  Metrics metrics;
};

/// What later stages read of a result of `charm evaluate`, whatever the benchmark. The benchmark's
/// own result (evaluate/) holds and writes more.
struct Evaluation {
  struct Sampling {
    std::int64_t limit_per_subset = 0;
    std::int64_t seed = 0;
  };
  std::string benchmark;
  std::string model;
  std::optional<Sampling> sampling;
  Metrics overall;                      ///< "overall", "overall_partial", "hard", counts of rows
  Metrics mean_score, win_rate;         ///< arena: correlations with the ratings
  std::vector<BenchmarkPart> sections;  ///< RM-Bench: domains
  std::vector<BenchmarkPart> subsets;
  std::vector<std::string> missing_domains;
  std::int64_t num_incomplete = 0;  ///< subsets without their full number of rows
  Metrics pair_probabilities, length_correlation;
  std::map<std::string, double> ratings;  ///< arena: Elo points by policy
  std::vector<BenchmarkPart>
      predictions;              ///< votes: "without_offsets", "with_offsets", "difference"
  std::vector<PicksOfN> picks;  ///< best-of-n: one per n

  /// Throws kInput for an unknown section.
  const Metrics& section(const std::string& name) const;
};

/// Throws kInput naming the file and the member.
Evaluation read_evaluation(const nlohmann::ordered_json& json, const std::string& file);
Evaluation read_evaluation(const std::filesystem::path& path);

/// A metric of two runs on the same rows. Differences are B - A.
struct ComparedPart {
  std::string name;
  std::optional<Estimate> a, b, difference;
  std::optional<std::int64_t> gained, lost;
  std::optional<double> p_value;       ///< McNemar's test
  std::vector<ComparedPart> measures;  ///< further metrics of the part, "hard" of RM-Bench

  /// nullptr where there is none.
  const ComparedPart* measure(std::string_view name) const;
};

/// What later stages read of a comparison of two runs.
struct Comparison {
  std::string benchmark;
  std::string name_a, name_b;         ///< of the runs; empty where unknown
  std::vector<ComparedPart> overall;  ///< "overall" or "overall_partial"; arena: mean |MD|
  std::vector<ComparedPart> sections;
  std::vector<ComparedPart> correlations;  ///< arena: "mean_score", "win_rate"
  std::vector<ComparedPart> policies;      ///< arena

  bool is_arena() const { return !correlations.empty(); }
  /// The overall metric of this name; nullptr where there is none.
  const ComparedPart* find(std::string_view name) const;
};

Comparison read_comparison(const nlohmann::ordered_json& json, const std::string& file);
Comparison read_comparison(const std::filesystem::path& path);

}  // namespace charm::results
