#include "charm/evaluate/arena_table.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "charm/base/error.h"
#include "charm/records/score.h"
#include "charm/stats/paired_scores.h"

namespace charm::evaluate {
namespace {

using SamplesOfPrompt = std::map<std::int32_t, double>;

ScoreTable::Pair compare(ScoreTable& table, std::size_t a, std::size_t b,
                         const std::vector<std::vector<SamplesOfPrompt>>& samples_PN) {
  const std::vector<double> zeros(table.num_prompts);
  ScoreTable::Pair pair{.a = a, .b = b, .wins_a = zeros, .wins_b = zeros, .has_both = zeros};
  bool any = false;
  for (std::size_t n = 0; n < table.num_prompts; ++n) {
    double wins_a = 0.0, wins_b = 0.0, count = 0.0;
    for (const auto& [sample, score_a] : samples_PN[a][n]) {
      const auto it = samples_PN[b][n].find(sample);
      if (it == samples_PN[b][n].end()) continue;
      wins_a += score_a > it->second ? 1.0 : 0.0;
      wins_b += score_a < it->second ? 1.0 : 0.0;
      count += 1.0;
      table.ties += score_a == it->second;
      ++table.num_comparisons;
    }
    if (count == 0.0) continue;
    pair.wins_a[n] = wins_a / count;
    pair.wins_b[n] = wins_b / count;
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

}  // namespace

ScoreTable build_score_table(std::span<const Score> scores,
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
    ArenaPolicy& policy = table.policies.emplace_back();
    policy.name = name;
    policy.rating_elo = it->second;
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

}  // namespace charm::evaluate
