#include "charm/explain/method_comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/explain/lowess.h"

namespace charm::explain {
namespace {

// Amount subtracted from the score of a response with these features.
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
                              const std::vector<results::CalibratedPolicy>& policies) {
  std::vector<double> lengths;
  std::vector<double> scores;
  for (const FeatureFile& file : files) {
    for (const FeatureRow& row : file.rows) {
      const bool is_included = std::any_of(policies.begin(), policies.end(), [&](const auto& one) {
        return one.policy == row.score.policy;
      });
      if (!is_included || row.score.error) continue;
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

// A benchmark's rows with the features of their texts, computed once.
class BenchmarkTexts {
 public:
  BenchmarkTexts(std::span<const fs::path> paths, evaluate::Benchmark benchmark,
                 std::int64_t max_bad_rows)
      : benchmark_(benchmark) {
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

  results::Evaluation result(const Correction& correction,
                             const evaluate::BootstrapOptions& bootstrap) const {
    std::vector<ScoredEvalItem> rows = rows_;
    std::size_t at = 0;
    for (ScoredEvalItem& row : rows) {
      for (auto* scores : {&row.score_chosen, &row.score_rejected}) {
        for (double& score : *scores) score -= correction ? correction(features_[at++]) : 0.0;
      }
    }
    return evaluate::benchmark_result(benchmark_, rows, bootstrap);
  }

 private:
  evaluate::Benchmark benchmark_;
  std::vector<ScoredEvalItem> rows_;
  std::vector<Features> features_;  // chosen texts of a row, then its rejected ones
};

// Offsets refitted on corrected scores, without intervals.
std::vector<results::CalibratedPolicy> solve_offsets(const std::vector<ScoreFile>& scores,
                                                     const CompareOptions& options) {
  const stats::PairedScores table(scores, options.pairing);
  std::vector<ArenaRating> ratings;
  for (const std::string& name : table.names()) ratings.push_back(rating_of(options, name));
  results::SolveOptions solve = options.solve;
  solve.bootstrap = 0;
  return calibrate::solve(table, ratings, table.index_of(options.reference), solve).policies;
}

}  // namespace

MethodComparison compare_methods(std::span<const FeatureFile> fit,
                                 std::span<const FeatureFile> held_out,
                                 const CompareOptions& options) {
  MethodComparison result;
  // Policies outside the calibration would change the style coefficients.
  std::vector<FeatureFile> calibrated(fit.begin(), fit.end());
  for (FeatureFile& file : calibrated) {
    std::erase_if(file.rows, [&](const FeatureRow& row) {
      return std::none_of(options.offsets.begin(), options.offsets.end(),
                          [&](const auto& one) { return one.policy == row.score.policy; });
    });
  }
  std::erase_if(calibrated, [](const FeatureFile& file) { return file.rows.empty(); });
  result.pooled = pooled_effects(calibrated, options.min_differing);
  const Correction style = [&](const Features& f) { return adjustment(result.pooled, f); };
  const Correction lowess = lowess_of_policies(fit, options.offsets);
  const auto style_scores = corrected_scores(fit, style);

  struct Plan {
    const char* name;
    const char* meaning;
    Correction policies;
    std::vector<results::CalibratedPolicy> offsets;
  };
  std::vector<Plan> plans = {
      {"none", "uncorrected scores", {}, {}},
      {"offsets", "scores plus each policy's calibrated offset", {}, options.offsets},
      {"lowess", "scores minus a LOWESS fit of score on response length", lowess, {}},
      {"style",
       "scores minus linear effects of length and style, with prompt and policy fixed effects",
       style,
       {}},
  };
  try {
    plans.push_back({"style-offsets", "scores minus those effects, plus refitted offsets", style,
                     solve_offsets(style_scores, options)});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    result.warnings.push_back(
        fmt::format("no offsets on length- and style-corrected scores: {}", error.message()));
  }
  std::vector<std::vector<results::CalibratedPolicy>> offsets;
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
  const evaluate::BootstrapOptions bootstrap{.num_replicates = options.bootstrap,
                                             .seed = options.seed};
  for (std::size_t m = 0; m < plans.size(); ++m) {
    Method method{.name = plans[m].name,
                  .meaning = plans[m].meaning,
                  .offsets = {},
                  .fit = on_fit[m],
                  .held_out = {},
                  .reward_bench = {},
                  .rm_bench = {}};
    for (const results::CalibratedPolicy& one : plans[m].offsets)
      method.offsets.emplace_back(one.policy, one.offset.value);
    if (!on_held_out.empty()) method.held_out = on_held_out[m];
    const bool has_offsets = !plans[m].offsets.empty();
    if (!has_offsets) {
      const bool is_lowess = method.name == "lowess";
      if (!reward_bench.empty()) {
        method.reward_bench =
            reward_bench.result(is_lowess ? reward_bench.lowess() : plans[m].policies, bootstrap);
      }
      if (!rm_bench.empty()) {
        method.rm_bench =
            rm_bench.result(is_lowess ? rm_bench.lowess() : plans[m].policies, bootstrap);
      }
    }
    result.methods.push_back(std::move(method));
  }
  return result;
}

}  // namespace charm::explain
