#include "charm/evaluate/arena.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "charm/base/error.h"
#include "charm/evaluate/result_json.h"
#include "charm/stats/correlation.h"
#include "charm/stats/paired_scores.h"

namespace charm::evaluate {
namespace {

// P policies, N prompts (of any policy).

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// Scores by prompt and policy, and what two policies' scores say about each prompt.
struct ScoreTable {
  struct Pair {
    std::size_t a = 0, b = 0;      ///< policies
    std::vector<double> wins;      ///< [N] share of common samples that a wins, ties half
    std::vector<double> has_both;  ///< [N] 1 where both answered
  };
  std::vector<ArenaPolicy> policies;         ///< [P]
  std::vector<std::vector<double>> mean_PN;  ///< mean over samples; 0 where there is none
  std::vector<std::vector<double>> has_PN;   ///< 1 where the policy answered
  std::vector<Pair> pairs;
  std::size_t num_prompts = 0;
  std::int64_t ties = 0, num_comparisons = 0;
  /// Each (prompt, policy) with a score, which is what the bootstrap draws.
  std::vector<std::string> row_prompts, row_policies;
  std::vector<std::size_t> prompt_of_row;
};

using SamplesOfPrompt = std::map<std::int32_t, double>;

ScoreTable::Pair compare(ScoreTable& table, std::size_t a, std::size_t b,
                         const std::vector<std::vector<SamplesOfPrompt>>& samples_PN) {
  ScoreTable::Pair pair{a, b, std::vector<double>(table.num_prompts),
                        std::vector<double>(table.num_prompts)};
  bool any = false;
  for (std::size_t n = 0; n < table.num_prompts; ++n) {
    double wins = 0.0, count = 0.0;
    for (const auto& [sample, score_a] : samples_PN[a][n]) {
      const auto it = samples_PN[b][n].find(sample);
      if (it == samples_PN[b][n].end()) continue;
      wins += score_a > it->second ? 1.0 : score_a == it->second ? 0.5 : 0.0;
      count += 1.0;
      table.ties += score_a == it->second;
      ++table.num_comparisons;
    }
    if (count == 0.0) continue;
    pair.wins[n] = wins / count;
    pair.has_both[n] = 1.0;
    any = true;
  }
  if (!any) {
    throw Error(
        ErrorKind::kInput,
        "policies '{}' and '{}' have no common prompt: their responses must be to the same prompts",
        table.policies[a].name, table.policies[b].name);
  }
  return pair;
}

ScoreTable build_table(std::span<const Score> scores,
                       const std::map<std::string, double>& rating_of_policy) {
  ScoreTable table;
  std::set<std::string> names;
  for (const Score& score : scores) names.insert(score.policy);
  if (names.size() < 3) {
    throw Error(ErrorKind::kInput, "a correlation with ratings needs at least 3 policies, found {}",
                names.size());
  }
  stats::check_distinct_without_case(std::vector<std::string>(names.begin(), names.end()));
  for (const std::string& name : names) {
    const auto it = rating_of_policy.find(name);
    if (it == rating_of_policy.end())
      throw Error(ErrorKind::kInput, "policy '{}' has no rating", name);
    table.policies.push_back({.name = name, .rating_elo = it->second});
  }
  std::stable_sort(table.policies.begin(), table.policies.end(),
                   [](const auto& a, const auto& b) { return a.rating_elo > b.rating_elo; });
  std::unordered_map<std::string, std::size_t> policy_index, prompt_index;
  for (std::size_t p = 0; p < table.policies.size(); ++p) policy_index[table.policies[p].name] = p;
  for (const Score& score : scores) {
    if (score.error) {
      ++table.policies[policy_index[score.policy]].num_errors;
    } else {
      prompt_index.try_emplace(score.prompt_id, prompt_index.size());
    }
  }
  table.num_prompts = prompt_index.size();
  std::vector<std::vector<SamplesOfPrompt>> samples_PN(
      table.policies.size(), std::vector<SamplesOfPrompt>(table.num_prompts));
  for (const Score& score : scores) {
    if (score.error) continue;
    SamplesOfPrompt& samples =
        samples_PN[policy_index[score.policy]][prompt_index[score.prompt_id]];
    if (samples.empty()) {
      table.row_prompts.push_back(score.prompt_id);
      table.row_policies.push_back(score.policy);
      table.prompt_of_row.push_back(prompt_index[score.prompt_id]);
    }
    if (!samples.emplace(score.sample, score.score).second) {
      throw Error(ErrorKind::kInput, "policy '{}' has two scores for prompt {} sample {}",
                  score.policy, score.prompt_id, score.sample);
    }
  }
  for (std::size_t p = 0; p < table.policies.size(); ++p) {
    table.mean_PN.emplace_back(table.num_prompts);
    table.has_PN.emplace_back(table.num_prompts);
    for (std::size_t n = 0; n < table.num_prompts; ++n) {
      if (samples_PN[p][n].empty()) continue;
      double sum = 0.0;
      for (const auto& [sample, score] : samples_PN[p][n]) sum += score;
      table.mean_PN[p][n] = sum / static_cast<double>(samples_PN[p][n].size());
      table.has_PN[p][n] = 1.0;
      ++table.policies[p].num_prompts;
    }
    if (table.policies[p].num_prompts == 0)
      throw Error(ErrorKind::kInput, "policy '{}' has no scores", table.policies[p].name);
  }
  for (std::size_t a = 0; a < table.policies.size(); ++a) {
    for (std::size_t b = a + 1; b < table.policies.size(); ++b)
      table.pairs.push_back(compare(table, a, b, samples_PN));
  }
  return table;
}

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

std::vector<double> win_rates(const ScoreTable& table, std::span<const double> weights_N) {
  std::vector<double> rates(table.policies.size(), 0.0);
  const auto opponents = static_cast<double>(table.policies.size() - 1);
  for (const ScoreTable::Pair& pair : table.pairs) {
    const double rate = mean_of_present(pair.wins, pair.has_both, weights_N);
    rates[pair.a] += rate / opponents;
    rates[pair.b] += (1.0 - rate) / opponents;
  }
  return rates;
}

Tally tally_of(const ScoreTable& table) {
  Tally tally;
  tally.prompts = table.row_prompts;
  tally.groups = table.row_policies;
  tally.is_whole = true;
  for (const char* side : {"mean_score", "win_rate"}) {
    for (const char* measure : {"spearman", "kendall", "pearson"}) {
      tally.figures.push_back({Figure::Part::kSection, side, measure, /*is_share=*/false});
    }
  }
  std::vector<double> ratings;
  for (const ArenaPolicy& policy : table.policies) ratings.push_back(policy.rating_elo);
  tally.statistics = [table, ratings](std::span<const double> row_weights) {
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
    return values;
  };
  return tally;
}

void put_correlations(nlohmann::ordered_json& object, const Correlations& correlations) {
  put_estimate(object, "spearman", correlations.spearman);
  put_estimate(object, "kendall", correlations.kendall);
  put_estimate(object, "pearson", correlations.pearson);
}

}  // namespace

Tally arena_tally(std::span<const Score> scores,
                  const std::map<std::string, double>& rating_of_policy) {
  return tally_of(build_table(scores, rating_of_policy));
}

ArenaResult arena_result(std::span<const Score> scores,
                         const std::map<std::string, double>& rating_of_policy,
                         const BootstrapOptions& options) {
  const ScoreTable table = build_table(scores, rating_of_policy);
  const std::vector<Estimate> estimates = tally_estimates(tally_of(table), options);

  ArenaResult result;
  result.mean_score = {estimates[0], estimates[1], estimates[2]};
  result.win_rate = {estimates[3], estimates[4], estimates[5]};
  result.policies = table.policies;
  const std::vector<double> ones(table.num_prompts, 1.0);
  const std::vector<double> means = mean_scores(table, ones);
  const std::vector<double> rates = win_rates(table, ones);
  for (std::size_t p = 0; p < result.policies.size(); ++p) {
    result.policies[p].mean_score = means[p];
    result.policies[p].win_rate = rates[p];
  }
  result.num_prompts = static_cast<std::int64_t>(table.num_prompts);
  for (std::size_t n = 0; n < table.num_prompts; ++n) {
    result.num_common_prompts += std::all_of(table.has_PN.begin(), table.has_PN.end(),
                                             [&](const auto& has_N) { return has_N[n] > 0.0; });
  }
  result.ties = table.ties;
  result.num_comparisons = table.num_comparisons;
  return result;
}

nlohmann::ordered_json to_json(const ArenaResult& result) {
  nlohmann::ordered_json json;
  put_correlations(json["correlations"]["mean_score"], result.mean_score);
  put_correlations(json["correlations"]["win_rate"], result.win_rate);
  json["num_policies"] = result.policies.size();
  json["num_prompts"] = result.num_prompts;
  json["num_common_prompts"] = result.num_common_prompts;
  json["ties"] = result.ties;
  json["num_comparisons"] = result.num_comparisons;
  json["policies"] = nlohmann::ordered_json::object();
  for (const ArenaPolicy& policy : result.policies) {
    json["policies"][policy.name] = {{"rating", policy.rating_elo},
                                     {"mean_score", policy.mean_score},
                                     {"win_rate", policy.win_rate},
                                     {"num_prompts", policy.num_prompts},
                                     {"num_errors", policy.num_errors}};
  }
  return json;
}

}  // namespace charm::evaluate
