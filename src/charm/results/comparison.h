#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/results/estimate.h"
#include "charm/results/evaluation.h"

namespace charm::results {

/// Comparisons on which exactly one of two runs is right.
struct Flips {
  std::int64_t num_rows = 0;
  std::optional<std::int64_t> num_comparisons{};  ///< where it is not the number of rows
  std::int64_t gained = 0;                        ///< B right, A wrong
  std::int64_t lost = 0;                          ///< A right, B wrong
  std::string test;                               ///< variant of McNemar's test
  std::optional<double> statistic{};
  double p_value = 1.0;
  std::optional<double> p_value_holm{};  ///< of subsets: Holm-corrected over all of them
};

/// A metric of two runs on the same rows. Differences are B - A.
struct ComparedPart {
  std::string name;
  std::optional<Estimate> a{}, b{}, difference{};  ///< empty where undefined
  std::optional<Flips> flips{};
  std::vector<ComparedPart> measures{};  ///< further metrics of the part, "hard" of RM-Bench

  /// nullptr where there is none.
  const ComparedPart* measure(std::string_view name) const;
};

/// The file of `charm evaluate --compare`.
struct Comparison {
  struct Run {
    std::string name;  ///< empty where unknown
    std::string path;
  };
  std::string benchmark;
  Run a{}, b{};
  std::int64_t num_rows = 0;
  /// arena, votes, best-of-n: responses or votes without a score in either run
  std::optional<std::int64_t> num_left_out{};
  std::vector<ComparedPart> overall{};   ///< "overall" or "overall_partial"; arena: mean |MD|
  std::vector<ComparedPart> sections{};  ///< RM-Bench: domains; best-of-n: "n = 4"
  std::vector<ComparedPart> subsets{};
  std::vector<ComparedPart> correlations{};  ///< arena: "mean_score", "win_rate"
  std::vector<ComparedPart> policies{};      ///< arena
  BootstrapFacts bootstrap{};

  bool is_arena() const { return !correlations.empty(); }
  /// The overall metric of this name; nullptr where there is none.
  const ComparedPart* find(std::string_view name) const;
};

nlohmann::ordered_json to_json(const Comparison& comparison);
Comparison read_comparison(const nlohmann::ordered_json& json, const std::string& file);
Comparison read_comparison(const std::filesystem::path& path);

}  // namespace charm::results
