#pragma once

#include <cstddef>
#include <span>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// Number of bins of confidence max(p, 1 - p), of equal width over [0.5, 1].
inline constexpr std::size_t kConfidenceBins = 10;

/// Calibration of the pair probabilities implied by scores, and correlation of scores with the
/// length of texts in code points. A pair is a chosen and a rejected text of one row (RM-Bench: 9
/// per row), its margin s_chosen - s_rejected, its probability p = sigmoid(margin), as in the
/// Bradley-Terry loss. ece: mean over pairs of |accuracy - confidence| of bins, a tie half correct;
/// brier: mean (1 - p)^2; log_loss: mean -log p. longer_preferred: share of the pairs that differ
/// in length whose longer text scores higher, ties half; longer_chosen: whose longer text is the
/// chosen one. Margins are counted in [k width, (k + 1) width); the width is 1, 2 or 5 times a
/// power of ten, the smallest with at most 40 bins, so 0 is always an edge. Subsets are the metric
/// set's groups.
results::PairNumbers pair_diagnostics(std::span<const ScoredEvalItem> rows,
                                      const MetricSet& metric_set, const BootstrapOptions& options);

}  // namespace charm::evaluate
