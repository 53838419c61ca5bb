#include "charm/evaluate/arena.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "charm/base/error.h"
#include "charm/evaluate/arena_table.h"
#include "charm/evaluate/benchmark.h"
#include "charm/records/score.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/elo.h"
#include "charm/stats/pair_table.h"

namespace charm::evaluate {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double mean_of_present(const std::vector<double>& values, const std::vector<double>& present,
                       std::span<const double> weights) {
  double sum = 0.0, total = 0.0;
  for (std::size_t n = 0; n < values.size(); ++n) {
    sum += weights[n] * present[n] * values[n];
    total += weights[n] * present[n];
  }
  return sum / total;
}

std::vector<double> mean_scores(const ScoreTable& table, std::span<const double> weights_N) {
  std::vector<double> means;
  for (std::size_t p = 0; p < table.policies.size(); ++p) {
    means.push_back(mean_of_present(table.mean_PN[p], table.has_PN[p], weights_N));
  }
  return means;
}

/// Win rates of the two policies of a pair.
struct PairRates {
  double a = 0.0, b = 0.0;
};

PairRates pair_rates(const ScoreTable::Pair& pair, std::span<const double> weights_N) {
  return {mean_of_present(pair.wins_a, pair.has_both, weights_N),
          mean_of_present(pair.wins_b, pair.has_both, weights_N)};
}

std::vector<double> win_rates(const ScoreTable& table, std::span<const double> weights_N) {
  std::vector<double> rates(table.policies.size(), 0.0);
  const auto opponents = static_cast<double>(table.policies.size() - 1);
  for (const ScoreTable::Pair& pair : table.pairs) {
    const PairRates both = pair_rates(pair, weights_N);
    const double rate = 0.5 * (1.0 + both.a - both.b);  // ties half
    rates[pair.a] += rate / opponents;
    rates[pair.b] += (1.0 - rate) / opponents;
  }
  return rates;
}

/// Per policy, mean |MD| over its ordered pairs with all others; a tie is a loss for both.
std::vector<double> mean_abs_mismatches(const ScoreTable& table,
                                        std::span<const double> weights_N) {
  std::vector<double> means(table.policies.size(), 0.0);
  const auto num_ordered = static_cast<double>(2 * (table.policies.size() - 1));
  for (const ScoreTable::Pair& pair : table.pairs) {
    const PairRates rates = pair_rates(pair, weights_N);
    const double target = stats::target_win_rate(table.policies[pair.a].rating_elo,
                                                 table.policies[pair.b].rating_elo);
    const stats::AbsMismatch both = stats::abs_mismatch(rates.a, rates.b, target);
    const double sum = both.forward + both.mirrored;
    means[pair.a] += sum / num_ordered;
    means[pair.b] += sum / num_ordered;
  }
  return means;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Indices in the table; throws kUsage for an unknown name.
std::vector<std::size_t> indices_of(const ScoreTable& table,
                                    const std::vector<std::string>& policies) {
  std::vector<std::size_t> indices;
  for (const std::string& name : policies) {
    const auto found = std::ranges::find(table.policies, name, &ArenaPolicy::name);
    if (found == table.policies.end()) {
      throw Error(ErrorKind::kUsage, "--left-out '{}' is not among the policies of the scores",
                  name);
    }
    indices.push_back(static_cast<std::size_t>(found - table.policies.begin()));
  }
  return indices;
}

MetricSet metrics_of(const ScoreTable& table, const std::vector<std::string>& held_out_policies) {
  MetricSet metric_set;
  metric_set.prompts = table.row_prompts;
  metric_set.groups = table.row_policies;
  metric_set.is_complete = true;
  for (const char* side : {"mean_score", "win_rate"}) {
    for (const char* measure : {"spearman", "kendall", "pearson"}) {
      metric_set.metrics.push_back(
          {Metric::Part::kSection, side, measure, /*is_proportion=*/false});
    }
  }
  const std::vector<std::size_t> held_out_indices = indices_of(table, held_out_policies);
  const auto add_mismatch = [&](Metric::Part part, const std::string& name, const char* measure) {
    metric_set.metrics.push_back(
        {part, name, measure, /*is_proportion=*/false, /*is_magnitude=*/true});
  };
  add_mismatch(Metric::Part::kOverall, "", "mean_abs_mismatch");
  if (!held_out_policies.empty())
    add_mismatch(Metric::Part::kOverall, "", "mean_abs_mismatch_left_out");
  std::vector<double> ratings;
  for (const ArenaPolicy& policy : table.policies) {
    ratings.push_back(policy.rating_elo);
    add_mismatch(Metric::Part::kSubset, policy.name, "mean_abs_mismatch");
  }
  metric_set.statistics = [table, ratings, held_out_indices](std::span<const double> row_weights) {
    std::vector<double> weights_N(table.num_prompts, 0.0);
    for (std::size_t r = 0; r < row_weights.size(); ++r)
      weights_N[table.prompt_of_row[r]] = row_weights[r];
    std::vector<double> values;
    for (const std::vector<double>& side :
         {mean_scores(table, weights_N), win_rates(table, weights_N)}) {
      const bool finite =
          std::all_of(side.begin(), side.end(), [](double value) { return std::isfinite(value); });
      for (const auto correlate : {stats::spearman, stats::kendall_tau_b, stats::pearson}) {
        values.push_back(finite ? correlate(side, ratings).value_or(kUndefined) : kUndefined);
      }
    }
    const std::vector<double> mismatches = mean_abs_mismatches(table, weights_N);
    values.push_back(mean_of(mismatches));  // every pair counts in two policies' means
    if (!held_out_indices.empty()) {
      std::vector<double> chosen;
      for (const std::size_t index : held_out_indices) chosen.push_back(mismatches[index]);
      values.push_back(mean_of(chosen));
    }
    values.insert(values.end(), mismatches.begin(), mismatches.end());
    return values;
  };
  return metric_set;
}

}  // namespace

MetricSet arena_metrics(std::span<const Score> scores,
                        const std::map<std::string, double>& rating_of_policy,
                        const std::vector<std::string>& held_out_policies) {
  return metrics_of(build_score_table(scores, rating_of_policy), held_out_policies);
}

results::Evaluation arena_result(std::span<const Score> scores,
                                 const std::map<std::string, double>& rating_of_policy,
                                 const BootstrapOptions& options) {
  const ScoreTable table = build_score_table(scores, rating_of_policy);
  const MetricSet metric_set = metrics_of(table, {});
  const std::vector<Estimate> estimates = metric_estimates(metric_set, options);
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(Benchmark::kArena))};
  for (std::size_t m = 0; m < 6; ++m) {
    const Metric& metric = metric_set.metrics[m];
    (metric.name == "mean_score" ? evaluation.mean_score : evaluation.win_rate)
        .add(metric.measure, estimates[m]);
  }
  std::int64_t num_common_prompts = 0;
  for (std::size_t n = 0; n < table.num_prompts; ++n) {
    num_common_prompts +=
        std::ranges::all_of(table.has_PN, [&](const auto& has_N) { return has_N[n] > 0.0; });
  }
  evaluation.overall.add("mean_abs_mismatch", estimates[6]);
  evaluation.overall.add_count("num_policies", std::ssize(table.policies));
  evaluation.overall.add_count("num_prompts", static_cast<std::int64_t>(table.num_prompts));
  evaluation.overall.add_count("num_common_prompts", num_common_prompts);
  evaluation.overall.add_count("ties", table.ties);
  evaluation.overall.add_count("num_comparisons", table.num_comparisons);
  const std::vector<double> ones(table.num_prompts, 1.0);
  const std::vector<double> means = mean_scores(table, ones);
  const std::vector<double> rates = win_rates(table, ones);
  for (std::size_t p = 0; p < table.policies.size(); ++p) {
    const ArenaPolicy& policy = table.policies[p];
    results::BenchmarkPart part{.name = policy.name};
    part.metrics.add("rating", policy.rating_elo);
    part.metrics.add("mean_score", means[p]);
    part.metrics.add("win_rate", rates[p]);
    part.metrics.add_count("num_prompts", policy.num_prompts);
    part.metrics.add_count("num_errors", policy.num_errors);
    part.metrics.add("mean_abs_mismatch", estimates[7 + p]);
    evaluation.policies.push_back(std::move(part));
  }
  return evaluation;
}

}  // namespace charm::evaluate
