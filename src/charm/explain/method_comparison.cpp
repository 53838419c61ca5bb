#include "charm/explain/method_comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/explain/lowess.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/outcomes.h"

namespace charm::explain {
namespace {

// What is taken from the score of a response with these features.
using Correction = std::function<double(const Features&)>;

double characters(const Features& features) { return std::round(std::expm1(features[kLogLength])); }

constexpr double kPolicyFraction = 0.3;
constexpr double kBenchmarkFraction = 1.0;

Correction lowess_correction(const std::vector<double>& lengths, const std::vector<double>& scores,
                             double fraction) {
  constexpr std::size_t kFittedAll = 5000;
  const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
  const double delta = lengths.size() > kFittedAll ? 0.01 * (*longest - *shortest) : 0.0;
  const Lowess curve(lengths, scores,
                     {.fraction = fraction, .robust_iterations = 3, .delta = delta});
  return [curve](const Features& features) { return curve.at(characters(features)); };
}

Correction lowess_of_policies(std::span<const FeatureFile> files,
                              const std::vector<PolicyOffset>& policies) {
  std::vector<double> lengths;
  std::vector<double> scores;
  for (const FeatureFile& file : files) {
    for (const FeatureRow& row : file.rows) {
      const bool takes_part = std::any_of(policies.begin(), policies.end(), [&](const auto& one) {
        return one.policy == row.score.policy;
      });
      if (!takes_part || row.score.error) continue;
      lengths.push_back(characters(row.features));
      scores.push_back(row.score.score);
    }
  }
  return lowess_correction(lengths, scores, kPolicyFraction);
}

std::vector<ScoreFile> corrected_scores(std::span<const FeatureFile> files,
                                        const Correction& correction) {
  std::vector<ScoreFile> result;
  for (const FeatureFile& file : files) {
    ScoreFile& to = result.emplace_back(ScoreFile{.name = file.name, .rows = {}});
    for (const FeatureRow& row : file.rows) {
      to.rows.push_back(row.score);
      if (row.score.error || !correction) continue;
      to.rows.back().score = static_cast<float>(row.score.score - correction(row.features));
    }
  }
  return result;
}

double offset_of(const std::vector<PolicyOffset>& offsets, const std::string& policy) {
  for (const PolicyOffset& one : offsets) {
    if (one.policy == policy) return one.offset;
  }
  return 0.0;
}

const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy) {
  const auto found = std::find_if(options.ratings.begin(), options.ratings.end(),
                                  [&](const ArenaRating& one) { return one.name == policy; });
  if (found == options.ratings.end())
    throw Error(ErrorKind::kInput, "no rating for policy '{}'", policy);
  return *found;
}

// A method's scores of one set of prompts as outcomes of all pairs.
class MethodOutcomes {
 public:
  MethodOutcomes(const std::vector<ScoreFile>& scores, const std::vector<PolicyOffset>& offsets,
                 const stats::PairedScoresOptions& pairing, const CompareOptions& options)
      : ties_(options.solve.ties), table_(scores, pairing) {
    for (const std::string& name : table_.names()) ratings_.push_back(rating_of(options, name));
    for (std::size_t i = 0; i < table_.num_policies(); ++i) {
      for (std::size_t j = i + 1; j < table_.num_policies(); ++j) {
        stats::PairRows rows = table_.pair(i, j);
        outcomes_.emplace_back(rows.over, rows.ref, offset_of(offsets, table_.policy(i).policy),
                               offset_of(offsets, table_.policy(j).policy));
        pairs_.push_back({i, j, rows.num_prompts, std::move(rows.prompt)});
      }
    }
  }

  const stats::PairedScores& table() const { return table_; }
  const std::vector<ArenaRating>& ratings() const { return ratings_; }

  calibrate::MeanMismatch mean() const {
    std::vector<calibrate::CalibratedPair> list;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const stats::WinCount count = outcomes_[p].count();
      for (const bool is_mirrored : {false, true}) {
        calibrate::CalibratedPair pair;
        pair.num_prompts = pairs_[p].num_prompts;
        const std::size_t over = is_mirrored ? pairs_[p].ref : pairs_[p].over;
        const std::size_t ref = is_mirrored ? pairs_[p].over : pairs_[p].ref;
        pair.target_win_rate =
            stats::target_win_rate(ratings_[over].rating_elo, ratings_[ref].rating_elo);
        pair.mismatch_before = stats::mismatch_degree(
            (is_mirrored ? count.mirrored() : count).win_rate(ties_), pair.target_win_rate);
        list.push_back(pair);
      }
    }
    return calibrate::mean_mismatch(list, {});
  }

  // Mean |MD| over ordered pairs of a resample; pairs that it leaves without rows are left out.
  double mean_abs(std::span<const std::uint32_t> weights, std::span<const double> ratings) const {
    double sum = 0.0;
    double count = 0.0;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const stats::WinCount wins = outcomes_[p].count(pairs_[p].prompt, weights);
      if (wins.total == 0.0) continue;
      const double target = stats::target_win_rate(ratings[pairs_[p].over], ratings[pairs_[p].ref]);
      sum += std::abs(stats::mismatch_degree(wins.win_rate(ties_), target));
      sum += std::abs(stats::mismatch_degree(wins.mirrored().win_rate(ties_), 1.0 - target));
      count += 2.0;
    }
    return count > 0.0 ? sum / count : 0.0;
  }

 private:
  struct Pair {
    std::size_t over;
    std::size_t ref;
    std::int64_t num_prompts;
    std::vector<std::uint32_t> prompt;
  };
  stats::TieRule ties_;
  stats::PairedScores table_;
  std::vector<ArenaRating> ratings_;  // [policy of the table]
  std::vector<stats::Outcomes> outcomes_;
  std::vector<Pair> pairs_;
};

// [method] checks on one set of prompts; all methods see the same resamples.
std::vector<MethodCheck> check_methods(const std::vector<std::vector<ScoreFile>>& scores,
                                       const std::vector<std::vector<PolicyOffset>>& offsets,
                                       const stats::PairedScoresOptions& pairing,
                                       const CompareOptions& options) {
  std::vector<MethodOutcomes> outcomes;
  for (std::size_t m = 0; m < scores.size(); ++m)
    outcomes.emplace_back(scores[m], offsets[m], pairing, options);
  const stats::PairedScores& table = outcomes.front().table();
  const auto num_draws = static_cast<std::size_t>(options.bootstrap);
  std::vector<std::vector<double>> draws(scores.size(), std::vector<double>(num_draws));
  stats::bootstrap(num_draws, options.seed, "compare methods", options.solve.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     const auto weights = stats::resample_prompts(table.num_prompts(), stream);
                     const auto ratings = stats::draw_ratings(outcomes.front().ratings(), stream);
                     for (std::size_t m = 0; m < outcomes.size(); ++m)
                       draws[m][index] = outcomes[m].mean_abs(weights, ratings);
                   });
  const auto interval = [](const std::vector<double>& values) -> std::optional<stats::Interval> {
    if (values.empty()) return std::nullopt;
    return stats::percentile_interval(values);
  };
  std::map<std::string, double> ratings;
  for (const ArenaRating& rating : outcomes.front().ratings())
    ratings[rating.name] = rating.rating_elo;
  const double before = outcomes.front().mean().before;
  std::vector<MethodCheck> checks;
  for (std::size_t m = 0; m < scores.size(); ++m) {
    MethodCheck check;
    check.num_prompts = static_cast<std::int64_t>(table.num_prompts());
    const calibrate::MeanMismatch mean = outcomes[m].mean();
    check.mean_abs_mismatch = {mean.before, interval(draws[m])};
    check.by_chance = mean.by_chance;
    if (m > 0) {
      std::vector<double> changes;
      for (std::size_t i = 0; i < num_draws; ++i) changes.push_back(draws[m][i] - draws[0][i]);
      check.change = Estimated{mean.before - before, interval(changes)};
    }
    if (ratings.size() >= 3) {
      std::vector<Score> rows;
      for (const ScoreFile& file : scores[m]) {
        for (const Score& row : file.rows) {
          if (ratings.count(row.policy) == 0) continue;
          rows.push_back(row);
          rows.back().score += static_cast<float>(offset_of(offsets[m], row.policy));
        }
      }
      const auto arena =
          evaluate::arena_result(rows, ratings, {.draws = options.bootstrap, .seed = options.seed});
      check.mean_score = arena.mean_score;
      check.win_rate = arena.win_rate;
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

// A benchmark's rows with the features of their texts, so that each is looked at once.
class BenchmarkTexts {
 public:
  BenchmarkTexts(std::span<const fs::path> paths, evaluate::Benchmark benchmark,
                 std::int64_t max_bad_rows) {
    if (paths.empty()) return;
    rows_ = evaluate::read_benchmark(paths, {.benchmark = benchmark, .max_bad_rows = max_bad_rows},
                                     /*with_scores=*/true)
                .rows;
    for (const ScoredEvalItem& row : rows_) {
      for (const auto& texts : {row.item.chosen, row.item.rejected}) {
        for (const std::string& text : texts) features_.push_back(response_features(text));
      }
    }
  }

  bool empty() const { return rows_.empty(); }

  // Over the benchmark's own texts, as Reward-Calibration fits it.
  Correction lowess() const {
    std::vector<double> lengths;
    std::vector<double> scores;
    std::size_t at = 0;
    for (const ScoredEvalItem& row : rows_) {
      for (const auto& list : {row.score_chosen, row.score_rejected}) {
        for (const double score : list) {
          lengths.push_back(characters(features_[at++]));
          scores.push_back(score);
        }
      }
    }
    return lowess_correction(lengths, scores, kBenchmarkFraction);
  }

  std::vector<ScoredEvalItem> corrected(const Correction& correction) const {
    std::vector<ScoredEvalItem> rows = rows_;
    if (!correction) return rows;
    std::size_t at = 0;
    for (ScoredEvalItem& row : rows) {
      for (double& score : row.score_chosen) score -= correction(features_[at++]);
      for (double& score : row.score_rejected) score -= correction(features_[at++]);
    }
    return rows;
  }

 private:
  std::vector<ScoredEvalItem> rows_;
  std::vector<Features> features_;  // chosen texts of a row, then its rejected ones
};

// Offsets found anew on corrected scores, without intervals.
std::vector<PolicyOffset> solve_offsets(const std::vector<ScoreFile>& scores,
                                        const CompareOptions& options) {
  const stats::PairedScores table(scores, options.pairing);
  std::vector<ArenaRating> ratings;
  for (const std::string& name : table.names()) ratings.push_back(rating_of(options, name));
  calibrate::SolveOptions solve = options.solve;
  solve.bootstrap = 0;
  solve.interval = calibrate::IntervalKind::kBootstrap;
  const auto found = calibrate::solve(table, ratings, table.index_of(options.reference), solve);
  std::vector<PolicyOffset> offsets;
  for (const calibrate::CalibratedPolicy& policy : found.policies)
    offsets.push_back({policy.policy, policy.offset, {}});
  return offsets;
}

}  // namespace

MethodComparison compare_methods(std::span<const FeatureFile> fit,
                                 std::span<const FeatureFile> held_out,
                                 const CompareOptions& options) {
  MethodComparison result;
  // Policies outside the calibration would move the style's effects.
  std::vector<FeatureFile> calibrated(fit.begin(), fit.end());
  for (FeatureFile& file : calibrated) {
    std::erase_if(file.rows, [&](const FeatureRow& row) {
      return std::none_of(options.offsets.begin(), options.offsets.end(),
                          [&](const auto& one) { return one.policy == row.score.policy; });
    });
  }
  std::erase_if(calibrated, [](const FeatureFile& file) { return file.rows.empty(); });
  result.pooled = pooled_effects(calibrated, options.min_differing);
  const Correction style = [&](const Features& f) { return result.pooled.adjustment(f); };
  const Correction lowess = lowess_of_policies(fit, options.offsets);
  const auto style_scores = corrected_scores(fit, style);

  struct Plan {
    const char* name;
    const char* meaning;
    Correction policies;
    std::vector<PolicyOffset> offsets;
  };
  std::vector<Plan> plans = {
      {"none", "the scores as they are", {}, {}},
      {"offsets", "each policy's calibrated offset added", {}, options.offsets},
      {"lowess", "less a LOWESS curve of score over response length", lowess, {}},
      {"style", "less linear effects of length and style, at equal prompt and policy", style, {}},
  };
  try {
    plans.push_back({"style-offsets", "less those effects, then offsets found anew", style,
                     solve_offsets(style_scores, options)});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    result.warnings.push_back(
        fmt::format("no offsets on scores less length and style: {}", error.message()));
  }
  std::vector<std::vector<PolicyOffset>> offsets;
  std::vector<std::vector<ScoreFile>> fit_scores;
  std::vector<std::vector<ScoreFile>> held_out_scores;
  for (const Plan& plan : plans) {
    offsets.push_back(plan.offsets);
    fit_scores.push_back(corrected_scores(fit, plan.policies));
    held_out_scores.push_back(corrected_scores(held_out, plan.policies));
  }
  const auto on_fit = check_methods(fit_scores, offsets, options.pairing, options);
  std::vector<MethodCheck> on_held_out;
  if (!held_out.empty())
    on_held_out = check_methods(held_out_scores, offsets, options.held_out_pairing, options);

  const BenchmarkTexts reward_bench(options.reward_bench, evaluate::Benchmark::kRewardBench,
                                    options.max_bad_rows);
  const BenchmarkTexts rm_bench(options.rm_bench, evaluate::Benchmark::kRmBench,
                                options.max_bad_rows);
  const evaluate::BootstrapOptions draws{.draws = options.bootstrap, .seed = options.seed};
  for (std::size_t m = 0; m < plans.size(); ++m) {
    Method method{.name = plans[m].name,
                  .meaning = plans[m].meaning,
                  .offsets = plans[m].offsets,
                  .fit = on_fit[m],
                  .held_out = {},
                  .reward_bench = {},
                  .rm_bench = {}};
    if (!on_held_out.empty()) method.held_out = on_held_out[m];
    const bool has_offsets = !plans[m].offsets.empty();
    if (!has_offsets) {
      const bool is_lowess = method.name == "lowess";
      if (!reward_bench.empty()) {
        method.reward_bench = evaluate::reward_bench_result(
            reward_bench.corrected(is_lowess ? reward_bench.lowess() : plans[m].policies), draws);
      }
      if (!rm_bench.empty()) {
        method.rm_bench = evaluate::rm_bench_result(
            rm_bench.corrected(is_lowess ? rm_bench.lowess() : plans[m].policies), draws);
      }
    }
    result.methods.push_back(std::move(method));
  }
  return result;
}

}  // namespace charm::explain
