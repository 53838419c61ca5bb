#include "charm/evaluate/pair_diagnostics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"
#include "charm/stats/descriptive.h"

namespace charm::evaluate {
namespace {

constexpr double kMostBins = 40.0;
constexpr double kBinsPerUnit = 2.0 * static_cast<double>(kConfidenceBins);

/// Clamped: the difference of extreme scores may overflow.
double margin_of(double chosen, double rejected) {
  constexpr double kLargest = std::numeric_limits<double>::max() / 8.0;
  return std::clamp(chosen - rejected, -kLargest, kLargest);
}

/// -log sigmoid(margin) without overflow.
double log_loss_of(double margin) {
  return std::max(-margin, 0.0) + std::log1p(std::exp(-std::abs(margin)));
}

double confidence_of(double margin) { return 1.0 / (1.0 + std::exp(-std::abs(margin))); }

struct Text {
  double score = 0.0;
  double length = 0.0;  ///< code points
};

/// A row's texts and the sums of its pairs.
struct RowPairs {
  std::vector<Text> chosen, rejected;
  double num_pairs = 0.0, brier = 0.0, log_loss = 0.0;
};

std::vector<Text> texts_of(const std::vector<std::string>& texts,
                           const std::vector<double>& scores) {
  std::vector<Text> all;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    all.push_back({scores[i], static_cast<double>(num_code_points(texts[i]))});
  }
  return all;
}

RowPairs row_pairs(const ScoredEvalItem& row) {
  RowPairs pairs{.chosen = texts_of(row.item.chosen, row.score_chosen),
                 .rejected = texts_of(row.item.rejected, row.score_rejected)};
  for (const Text& chosen : pairs.chosen) {
    for (const Text& rejected : pairs.rejected) {
      const double margin = margin_of(chosen.score, rejected.score);
      const double confidence = confidence_of(margin);
      const double miss = margin >= 0.0 ? 1.0 - confidence : confidence;
      pairs.num_pairs += 1.0;
      pairs.brier += miss * miss;
      pairs.log_loss += log_loss_of(margin);
    }
  }
  return pairs;
}

/// Calls body(chosen, rejected) for every pair of the rows.
template <typename Body>
void for_each_pair(std::span<const RowPairs> rows, std::span<const std::size_t> members,
                   const Body& body) {
  for (const std::size_t r : members) {
    for (const Text& chosen : rows[r].chosen) {
      for (const Text& rejected : rows[r].rejected) body(chosen, rejected);
    }
  }
}

// Pairs of one bin [lo, hi) of confidence; the last one is closed.
struct ConfidenceBin {
  double num_pairs = 0.0, confidence = 0.0, accuracy = 0.0;  // sums
};

std::vector<ConfidenceBin> confidence_bins(std::span<const RowPairs> rows,
                                           std::span<const std::size_t> members) {
  std::vector<ConfidenceBin> bins(kConfidenceBins);
  for_each_pair(rows, members, [&](const Text& chosen, const Text& rejected) {
    const double margin = margin_of(chosen.score, rejected.score);
    const double confidence = confidence_of(margin);
    const auto k = static_cast<std::size_t>((confidence - 0.5) * kBinsPerUnit);
    ConfidenceBin& bin = bins[std::min(k, kConfidenceBins - 1)];
    bin.num_pairs += 1.0;
    bin.confidence += confidence;
    bin.accuracy += margin > 0.0 ? 1.0 : margin == 0.0 ? 0.5 : 0.0;
  });
  for (ConfidenceBin& bin : bins) {
    if (bin.num_pairs == 0.0) continue;
    bin.confidence /= bin.num_pairs;
    bin.accuracy /= bin.num_pairs;
  }
  return bins;
}

std::vector<results::Metrics> numbers_of(std::span<const ConfidenceBin> bins) {
  std::vector<results::Metrics> numbers;
  for (std::size_t k = 0; k < bins.size(); ++k) {
    results::Metrics& metrics = numbers.emplace_back();
    metrics.add("lo", 0.5 + static_cast<double>(k) / kBinsPerUnit);
    metrics.add("hi", 0.5 + static_cast<double>(k + 1) / kBinsPerUnit);
    metrics.add_count("num_pairs", static_cast<std::int64_t>(bins[k].num_pairs));
    if (bins[k].num_pairs == 0.0) continue;
    metrics.add("mean_confidence", bins[k].confidence);
    metrics.add("accuracy", bins[k].accuracy);
  }
  return numbers;
}

double calibration_error(std::span<const ConfidenceBin> bins) {
  double sum = 0.0, total = 0.0;
  for (const ConfidenceBin& bin : bins) {
    sum += bin.num_pairs * std::abs(bin.accuracy - bin.confidence);
    total += bin.num_pairs;
  }
  return sum / total;
}

double nice_width(double range) {
  if (range < 1e-300) return 1.0;  // all margins (nearly) 0
  const double power = std::pow(10.0, std::floor(std::log10(range / kMostBins)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    // One bin more than range / width where neither bound is an edge.
    if (range / (factor * power) <= kMostBins - 1.0) return factor * power;
  }
  return 20.0 * power;
}

void add_margins(std::span<const RowPairs> rows, std::span<const std::size_t> members,
                 results::PairNumbers& numbers) {
  double lo = 0.0, hi = 0.0;
  for_each_pair(rows, members, [&](const Text& chosen, const Text& rejected) {
    const double margin = margin_of(chosen.score, rejected.score);
    lo = std::min(lo, margin);
    hi = std::max(hi, margin);
  });
  numbers.bin_width = nice_width(hi - lo);
  const auto bin_of = [&](double margin) {
    return static_cast<std::int64_t>(std::floor(margin / numbers.bin_width));
  };
  const std::int64_t first_bin = bin_of(lo);
  numbers.counts.resize(static_cast<std::size_t>(bin_of(hi) - first_bin + 1), 0);
  for_each_pair(rows, members, [&](const Text& chosen, const Text& rejected) {
    const double margin = margin_of(chosen.score, rejected.score);
    ++numbers.counts[static_cast<std::size_t>(bin_of(margin) - first_bin)];
  });
  for (std::int64_t k = 0; k <= std::ssize(numbers.counts); ++k)
    numbers.edges.push_back(static_cast<double>(first_bin + k) * numbers.bin_width);
}

results::Metrics length_correlation(std::span<const RowPairs> rows,
                                    std::span<const std::size_t> members) {
  std::vector<double> scores, lengths;
  for (const std::size_t r : members) {
    for (const std::vector<Text>* side : {&rows[r].chosen, &rows[r].rejected}) {
      for (const Text& text : *side) {
        scores.push_back(text.score);
        lengths.push_back(text.length);
      }
    }
  }
  double num_pairs = 0.0, preferred = 0.0, chosen_longer = 0.0;
  for_each_pair(rows, members, [&](const Text& chosen, const Text& rejected) {
    if (chosen.length == rejected.length) return;
    num_pairs += 1.0;
    const bool is_longer = chosen.length > rejected.length;
    chosen_longer += is_longer;
    const double longer = is_longer ? chosen.score : rejected.score;
    const double shorter = is_longer ? rejected.score : chosen.score;
    preferred += longer > shorter ? 1.0 : longer == shorter ? 0.5 : 0.0;
  });
  results::Metrics metrics;
  metrics.add_count("num_responses", std::ssize(scores));
  metrics.add("spearman", stats::spearman(scores, lengths));
  metrics.add("pearson", stats::pearson(scores, lengths));
  metrics.add_count("num_pairs", static_cast<std::int64_t>(num_pairs));
  metrics.add("longer_preferred", preferred / num_pairs);  // undefined without a pair
  metrics.add("longer_chosen", chosen_longer / num_pairs);
  return metrics;
}

results::Metrics probabilities(std::span<const RowPairs> rows, std::span<const std::size_t> members,
                               const Estimate& brier, const Estimate& log_loss) {
  std::int64_t num_pairs = 0, ties = 0;
  for_each_pair(rows, members, [&](const Text& chosen, const Text& rejected) {
    ++num_pairs;
    ties += chosen.score == rejected.score;
  });
  results::Metrics metrics;
  metrics.add_count("num_pairs", num_pairs);
  metrics.add_count("ties", ties);
  metrics.add("ece", calibration_error(confidence_bins(rows, members)));
  metrics.add("brier", brier);
  metrics.add("log_loss", log_loss);
  return metrics;
}

/// Brier score and log-loss of all rows, then of every subset.
WeightedStatistics mean_losses(std::span<const RowPairs> rows, std::span<const RowGroup> subsets) {
  return [rows, subsets](std::span<const double> weights) {
    std::vector<double> values(2, 0.0);
    std::array<double, 3> all{};
    for (const RowGroup& subset : subsets) {
      std::array<double, 3> sums{};
      for (const std::size_t r : subset.rows) {
        sums[0] += weights[r] * rows[r].brier;
        sums[1] += weights[r] * rows[r].log_loss;
        sums[2] += weights[r] * rows[r].num_pairs;
      }
      values.push_back(sums[0] / sums[2]);
      values.push_back(sums[1] / sums[2]);
      for (std::size_t k = 0; k < all.size(); ++k) all[k] += sums[k];
    }
    values[0] = all[0] / all[2];
    values[1] = all[1] / all[2];
    return values;
  };
}

}  // namespace

results::PairNumbers pair_diagnostics(std::span<const ScoredEvalItem> rows,
                                      const MetricSet& metric_set,
                                      const BootstrapOptions& options) {
  std::vector<RowPairs> pairs;
  std::vector<std::size_t> everything;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    pairs.push_back(row_pairs(rows[r]));
    everything.push_back(r);
  }
  const std::vector<RowGroup> subsets = rows_by_group(metric_set.groups);
  const std::vector<Estimate> losses = bootstrap_estimates(
      PromptBootstrap(metric_set.prompts, metric_set.groups), mean_losses(pairs, subsets), options);

  results::PairNumbers numbers{.probabilities =
                                   probabilities(pairs, everything, losses[0], losses[1])};
  numbers.bins = numbers_of(confidence_bins(pairs, everything));
  add_margins(pairs, everything, numbers);
  numbers.length = length_correlation(pairs, everything);
  std::size_t next = 2;
  for (const RowGroup& subset : subsets) {
    numbers.probabilities_of_subsets.push_back(
        {.name = subset.name,
         .metrics = probabilities(pairs, subset.rows, losses[next], losses[next + 1])});
    numbers.length_of_subsets.push_back(
        {.name = subset.name, .metrics = length_correlation(pairs, subset.rows)});
    next += 2;
  }
  return numbers;
}

}  // namespace charm::evaluate
