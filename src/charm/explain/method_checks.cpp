#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/explain/method_comparison.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/outcomes.h"

namespace charm::explain {
namespace {

double offset_of(const std::vector<PolicyOffset>& offsets, const std::string& policy) {
  for (const PolicyOffset& one : offsets) {
    if (one.policy == policy) return one.offset;
  }
  return 0.0;
}

// Outcomes of all pairs under one method's scores of one set of prompts.
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

  // Mean |MD| over ordered pairs in a bootstrap replicate; pairs without rows are dropped.
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

}  // namespace

const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy) {
  const auto found = std::find_if(options.ratings.begin(), options.ratings.end(),
                                  [&](const ArenaRating& one) { return one.name == policy; });
  if (found == options.ratings.end())
    throw Error(ErrorKind::kInput, "no rating for policy '{}'", policy);
  return *found;
}

std::vector<MethodCheck> check_methods(const std::vector<std::vector<ScoreFile>>& scores,
                                       const std::vector<std::vector<PolicyOffset>>& offsets,
                                       const stats::PairedScoresOptions& pairing,
                                       const CompareOptions& options) {
  std::vector<MethodOutcomes> outcomes;
  for (std::size_t m = 0; m < scores.size(); ++m)
    outcomes.emplace_back(scores[m], offsets[m], pairing, options);
  const stats::PairedScores& table = outcomes.front().table();
  const auto num_replicates = static_cast<std::size_t>(options.bootstrap);
  std::vector<std::vector<double>> replicates(scores.size(), std::vector<double>(num_replicates));
  stats::bootstrap(num_replicates, options.seed, "compare methods", options.solve.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     const auto weights = stats::resample_prompts(table.num_prompts(), stream);
                     const auto ratings = stats::draw_ratings(outcomes.front().ratings(), stream);
                     for (std::size_t m = 0; m < outcomes.size(); ++m)
                       replicates[m][index] = outcomes[m].mean_abs(weights, ratings);
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
    check.mean_abs_mismatch = {mean.before, interval(replicates[m])};
    check.sampling_noise = mean.sampling_noise;
    if (m > 0) {
      std::vector<double> changes;
      for (std::size_t i = 0; i < num_replicates; ++i)
        changes.push_back(replicates[m][i] - replicates[0][i]);
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
      const auto arena = evaluate::arena_result(
          rows, ratings, {.num_replicates = options.bootstrap, .seed = options.seed});
      check.mean_score = arena.mean_score;
      check.win_rate = arena.win_rate;
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace charm::explain
