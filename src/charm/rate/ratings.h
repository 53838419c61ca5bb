#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/progress.h"
#include "charm/rate/bradley_terry.h"
#include "charm/records/arena.h"
#include "charm/stats/interval.h"

namespace charm::rate {

enum class StyleControl {
  kNone,
  kFastChat,   ///< compute_style_control: difference / (sum + 1); ridge on every parameter
  kArenaRank,  ///< difference / sum, equal weight per pair of models; ridge on the coefficients
};

inline constexpr std::size_t kNumStyles = 4;
inline constexpr std::array<std::string_view, kNumStyles> kStyleNames = {"length", "headers",
                                                                         "lists", "bold"};

/// (a - b) / (a + b + 1) of FastChat, (a - b) / (a + b, or 1 where that is 0) of arena-rank.
std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control);

struct FitOptions {
  StyleControl style = StyleControl::kNone;  ///< definition of the table's features
  std::optional<std::string> anchor;         ///< model whose rating is fixed
  double anchor_elo = 0.0;
  std::int64_t bootstrap = 0;  ///< resamples of battles behind the intervals; 0: sandwich
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;  ///< 0: all processors; the result does not depend on it
};

struct ModelRating {
  std::string model;
  double rating_elo = 0.0;
  double rating_se = 0.0;  ///< Elo points, around the mean of all models
  stats::Interval rating_ci95;
  std::int64_t num_battles = 0;
};

struct StyleCoefficient {
  std::string feature;
  double value = 0.0;  ///< log odds per standard deviation of the feature
  stats::Interval ci95;
};

struct Ratings {
  std::vector<ModelRating> models;  ///< highest first
  std::vector<StyleCoefficient> styles;
  std::vector<std::string> warnings;
};

/// Ratings on Arena's scale (400 points a factor of ten in the odds), mean 1000 unless anchored.
/// Without style control equal rows must be merged; with it each row is one battle. Throws kInput
/// where the votes leave a rating infinite or the models disconnected, kUsage for an unknown
/// anchor.
Ratings rate_models(const ComparisonTable& table, const FitOptions& options,
                    const ProgressFn& progress = {});

}  // namespace charm::rate
