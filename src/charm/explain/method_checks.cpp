#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/evaluate/arena.h"
#include "charm/explain/method_comparison.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/elo.h"
#include "charm/stats/pair_table.h"

namespace charm::explain {
namespace {

double offset_of(const std::vector<results::CalibratedPolicy>& offsets, const std::string& policy) {
  for (const results::CalibratedPolicy& one : offsets) {
    if (one.policy == policy) return one.offset.value;
  }
  return 0.0;
}

results::Correlations correlations_of(const results::Metrics& metrics) {
  const auto value = [&](const char* name) {
    return metrics.find(name).value_or(
        results::Estimate{.value = std::numeric_limits<double>::quiet_NaN(), .ci95 = {}});
  };
  return {.spearman = value("spearman"), .kendall = value("kendall"), .pearson = value("pearson")};
}

// The pairs of one method's scores on one set of prompts. Not movable: its table refers to its
// pairs.
class MethodOutcomes {
 public:
  MethodOutcomes(const std::vector<ScoreFile>& scores,
                 const std::vector<results::CalibratedPolicy>& offsets,
                 const stats::PairedScoresOptions& pairing, const CompareOptions& options)
      : ties_(options.solve.ties), scores_(scores, pairing), names_(scores_.names()) {
    std::vector<double> offset_of_policy;
    for (const std::string& name : names_) {
      ratings_.push_back(rating_of(options, name));
      offset_of_policy.push_back(offset_of(offsets, name));
    }
    pairs_ = stats::policy_pairs(scores_, ratings_);
    table_.emplace(pairs_, offset_of_policy);
  }
  MethodOutcomes(const MethodOutcomes&) = delete;
  MethodOutcomes& operator=(const MethodOutcomes&) = delete;

  std::size_t num_prompts() const { return scores_.num_prompts(); }
  const std::vector<ArenaRating>& ratings() const { return ratings_; }

  // Mean |MD| and its sampling noise.
  results::MeanMismatch mean() const {
    const auto counts = table_->counts();
    std::vector<results::Pair> list;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      for (const bool is_mirrored : {false, true}) {
        list.push_back(
            stats::OrderedPair{pairs_[p], is_mirrored}.result(names_, ratings_, counts[p], ties_));
      }
    }
    return stats::mean_mismatch(list);
  }

  // Mean |MD| over ordered pairs in a bootstrap replicate; pairs without rows are dropped.
  double mean_abs(std::span<const std::uint32_t> weights, std::span<const double> ratings) const {
    const auto counts = table_->counts(weights);
    double sum = 0.0;
    double count = 0.0;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      if (counts[p].total == 0.0) continue;
      const double target = stats::target_win_rate(ratings[pairs_[p].over], ratings[pairs_[p].ref]);
      const stats::AbsMismatch both = stats::abs_mismatch(counts[p], target, ties_);
      sum += both.forward;
      sum += both.mirrored;
      count += 2.0;
    }
    return count > 0.0 ? sum / count : 0.0;
  }

 private:
  stats::TieRule ties_;
  stats::PairedScores scores_;
  std::vector<std::string> names_;
  std::vector<ArenaRating> ratings_;  // [policy of the table]
  std::vector<stats::PolicyPair> pairs_;
  std::optional<stats::PairTable> table_;
};

}  // namespace

const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy) {
  const auto found = std::ranges::find(options.offsets, policy, &results::CalibratedPolicy::policy);
  if (found == options.offsets.end())
    throw Error(ErrorKind::kInput, "no rating for policy '{}'", policy);
  return found->rating;
}

std::vector<MethodCheck> check_methods(
    const std::vector<std::vector<ScoreFile>>& scores,
    const std::vector<std::vector<results::CalibratedPolicy>>& offsets,
    const stats::PairedScoresOptions& pairing, const CompareOptions& options) {
  std::deque<MethodOutcomes> outcomes;
  for (std::size_t m = 0; m < scores.size(); ++m)
    outcomes.emplace_back(scores[m], offsets[m], pairing, options);
  const std::size_t num_prompts = outcomes.front().num_prompts();
  const auto num_replicates = static_cast<std::size_t>(options.bootstrap);
  std::vector<std::vector<double>> replicates(scores.size(), std::vector<double>(num_replicates));
  stats::bootstrap(num_replicates, options.seed, "compare methods", options.solve.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     const auto weights = stats::resample_prompts(num_prompts, stream);
                     const auto ratings = stats::draw_ratings(outcomes.front().ratings(), stream);
                     for (std::size_t m = 0; m < outcomes.size(); ++m)
                       replicates[m][index] = outcomes[m].mean_abs(weights, ratings);
                   });
  std::map<std::string, double> ratings;
  for (const ArenaRating& rating : outcomes.front().ratings())
    ratings[rating.name] = rating.rating_elo;
  const double before = outcomes.front().mean().before;
  std::vector<MethodCheck> checks;
  for (std::size_t m = 0; m < scores.size(); ++m) {
    MethodCheck check;
    check.num_prompts = static_cast<std::int64_t>(num_prompts);
    const results::MeanMismatch mean = outcomes[m].mean();
    check.mean_abs_mismatch = {
        mean.before, stats::centred_interval(replicates[m], mean.before, /*at_least=*/0.0)};
    check.sampling_noise = mean.sampling_noise;
    if (m > 0) {
      std::vector<double> changes;
      for (std::size_t i = 0; i < num_replicates; ++i)
        changes.push_back(replicates[m][i] - replicates[0][i]);
      const double change = mean.before - before;
      check.change = results::Estimate{change, stats::centred_interval(std::move(changes), change)};
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
      const auto arena = evaluate::arena_result(
          rows, ratings, {.num_replicates = options.bootstrap, .seed = options.seed});
      check.mean_score = correlations_of(arena.mean_score);
      check.win_rate = correlations_of(arena.win_rate);
    }
    checks.push_back(check);
  }
  return checks;
}

}  // namespace charm::explain
