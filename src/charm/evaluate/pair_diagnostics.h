#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// Pairs of one bin of confidence max(p, 1 - p).
struct ConfidenceBin {
  double lo = 0.0, hi = 0.0;  ///< [lo, hi), the last one [lo, hi]
  std::int64_t num_pairs = 0;
  double mean_confidence = 0.0;
  double accuracy = 0.0;  ///< share of correct pairs, a tie counts half
};

/// Counts of margins in [k width, (k + 1) width); the width is 1, 2 or 5 times a power of ten, the
/// smallest with at most 40 bins, so 0 is always an edge.
struct MarginHistogram {
  double bin_width = 1.0;
  std::int64_t first_bin = 0;  ///< k of the first count
  std::vector<std::int64_t> counts;
};

/// Calibration of the pair probabilities implied by scores. A pair is a chosen and a rejected text
/// of one row (RM-Bench: 9 per row), its margin s_chosen - s_rejected, its probability p =
/// sigmoid(margin), as in the Bradley-Terry loss.
struct PairProbabilities {
  std::int64_t num_pairs = 0;
  std::int64_t ties = 0;
  double ece =
      0.0;  ///< expected calibration error: mean over pairs of |accuracy - confidence| of bins
  Estimate brier;     ///< mean (1 - p)^2
  Estimate log_loss;  ///< mean -log p, natural logarithm
};

/// Correlation of scores with the length of texts in code points.
struct LengthCorrelation {
  std::int64_t num_responses = 0;
  std::optional<double> spearman, pearson;  ///< over all texts, chosen and rejected
  std::int64_t num_pairs = 0;               ///< whose texts differ in length
  double longer_preferred = 0.0;  ///< share of them whose longer text scores higher, ties half
  double longer_chosen = 0.0;     ///< share of them whose longer text is the chosen one
};

struct PairDiagnostics {
  struct Subset {
    std::string name;
    PairProbabilities probabilities;
    LengthCorrelation length;
  };
  PairProbabilities probabilities;
  std::vector<ConfidenceBin> bins;
  MarginHistogram margins;
  LengthCorrelation length;
  std::vector<Subset> subsets;  ///< by group of the metric set
};

/// Number of bins of confidence, of equal width over [0.5, 1].
inline constexpr std::size_t kConfidenceBins = 10;

PairDiagnostics pair_diagnostics(std::span<const ScoredEvalItem> rows, const MetricSet& metric_set,
                                 const BootstrapOptions& options);

/// As the result file has them.
results::PairNumbers numbers_of(const PairDiagnostics& diagnostics);

/// Two lines: calibration of pair probabilities, length correlation.
std::string result_text(const PairDiagnostics& diagnostics);

}  // namespace charm::evaluate
