#include "charm/explain/explanation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "charm/stats/descriptive.h"

namespace charm::explain {
namespace {

// With fewer prompts per coefficient the intervals are unreliable.
constexpr std::size_t kPromptsPerCoefficient = 3;

bool differs_from_zero(const results::Estimate& value) {
  return value.ci95 && (value.ci95->lo > 0.0 || value.ci95->hi < 0.0);
}

// Number of prompts on which a column is not 0.
std::int64_t num_differing(std::span<const double> column, std::span<const std::uint32_t> prompts) {
  std::set<std::uint32_t> differing;
  for (std::size_t r = 0; r < column.size(); ++r) {
    if (column[r] != 0.0) differing.insert(prompts[r]);
  }
  return static_cast<std::int64_t>(differing.size());
}

// The features whose effect can be estimated; the others go to `dropped`.
std::vector<Column> usable_columns(std::vector<std::vector<double>> differences,
                                   std::span<const std::uint32_t> prompts,
                                   std::int64_t min_differing,
                                   std::vector<DroppedFeature>& dropped) {
  std::vector<Column> columns;
  for (std::size_t k = 0; k < kNumFeatures; ++k) {
    const std::string name(kFeatures[k].name);
    const std::int64_t count = num_differing(differences[k], prompts);
    if (count < min_differing) {
      dropped.push_back(
          {name, fmt::format("differs on {} prompts, fewer than {}", count, min_differing)});
    } else {
      columns.push_back({name, std::move(differences[k])});
    }
  }
  const std::set<std::uint32_t> distinct(prompts.begin(), prompts.end());
  const std::size_t most = std::max<std::size_t>(distinct.size() / kPromptsPerCoefficient, 1) - 1;
  for (; columns.size() > most; columns.pop_back()) {
    dropped.push_back(
        {columns.back().name,
         fmt::format("{} prompts are too few for so many features", distinct.size())});
  }
  return columns;
}

// Influence of each cluster on a column's mean.
std::vector<double> mean_influence(std::span<const double> values,
                                   std::span<const std::uint32_t> clusters,
                                   std::size_t num_clusters) {
  const double mean = stats::mean(values);
  std::vector<double> influence(num_clusters, 0.0);
  for (std::size_t r = 0; r < values.size(); ++r) {
    influence[clusters[r]] += (values[r] - mean) / static_cast<double>(values.size());
  }
  return influence;
}

std::optional<double> share(double part, const results::Estimate& whole) {
  if (!differs_from_zero(whole)) return std::nullopt;
  return part / whole.value;
}

// Difference of the policies' offsets; with an interval only if the reference is the calibration's.
std::optional<results::Estimate> offset_between(std::span<const results::CalibratedPolicy> offsets,
                                                const std::string& policy,
                                                const std::string& reference) {
  const auto find = [&](const std::string& name) {
    return std::ranges::find(offsets, name, &results::CalibratedPolicy::policy);
  };
  const auto over = find(policy);
  const auto ref = find(reference);
  if (over == offsets.end() || ref == offsets.end()) return std::nullopt;
  results::Estimate result{.value = over->offset.value - ref->offset.value, .ci95 = {}};
  const auto& ref_ci95 = ref->offset.ci95;
  const bool is_reference = ref->offset.value == 0.0 && (!ref_ci95 || ref_ci95->lo == ref_ci95->hi);
  if (is_reference) result.ci95 = over->offset.ci95;
  return result;
}

}  // namespace

PairExplanation explain_pair(const FeatureTable& table, std::size_t over, std::size_t ref,
                             std::span<const ArenaRating> ratings,
                             std::span<const results::CalibratedPolicy> offsets,
                             const ExplainSettings& settings, std::vector<std::string>& warnings) {
  const stats::PairRows rows = table.pair(over, ref);
  const std::size_t num_prompts = table.scores().num_prompts();
  PairExplanation result;
  result.policy = table.scores().policy(over).policy;
  result.reference = table.scores().policy(ref).policy;
  result.num_prompts = rows.num_prompts;
  result.num_rows = static_cast<std::int64_t>(rows.over.size());
  std::vector<double> gaps;
  for (std::size_t r = 0; r < rows.over.size(); ++r) gaps.push_back(rows.over[r] - rows.ref[r]);

  const std::vector<Column> columns = usable_columns(table.differences(over, ref), rows.prompt,
                                                     settings.min_differing, result.dropped);
  const Regression fit = clustered_regression(columns, gaps, rows.prompt, num_prompts);
  result.dropped.insert(result.dropped.end(), fit.dropped.begin(), fit.dropped.end());
  result.r_squared = fit.r_squared;
  const auto estimated = [&](double value, std::span<const double> influence) {
    return results::Estimate{value, fit.interval(value, fit.error_of(influence))};
  };
  result.score_gap = estimated(stats::mean(gaps), mean_influence(gaps, rows.prompt, num_prompts));
  result.offset = offset_between(offsets, result.policy, result.reference);
  result.unexplained = estimated(fit.coefficients[0], fit.influence[0]);
  std::vector<double> explained(num_prompts, 0.0);
  for (std::size_t k = 0; k < fit.kept.size(); ++k) {
    const Column& column = columns[fit.kept[k]];
    FeatureEffect effect{.feature = column.name,
                         .coefficient = estimated(fit.coefficients[k + 1], fit.influence[k + 1]),
                         .mean_difference = stats::mean(column.values),
                         .contribution = {},
                         .share_of_gap = {},
                         .share_of_offset = {}};
    // Delta method: a product varies with both factors.
    auto influence = mean_influence(column.values, rows.prompt, num_prompts);
    for (std::size_t g = 0; g < num_prompts; ++g) {
      influence[g] = effect.coefficient.value * influence[g] +
                     effect.mean_difference * fit.influence[k + 1][g];
      explained[g] += influence[g];
    }
    effect.contribution = estimated(effect.coefficient.value * effect.mean_difference, influence);
    effect.share_of_gap = share(effect.contribution.value, result.score_gap);
    if (result.offset) {
      const auto part = share(effect.contribution.value, *result.offset);
      if (part) effect.share_of_offset = -*part;
    }
    result.explained.value += effect.contribution.value;
    result.effects.push_back(std::move(effect));
  }
  result.explained = estimated(result.explained.value, explained);
  if (!result.dropped.empty()) {
    std::vector<std::string> words;
    for (const DroppedFeature& one : result.dropped)
      words.push_back(one.name + " (" + one.reason + ")");
    warnings.push_back(fmt::format("'{}' against '{}': dropped from the regression: {}",
                                   result.policy, result.reference, fmt::join(words, ", ")));
  }
  if (!ratings.empty()) {
    std::vector<Column> matched;
    for (const std::size_t k : fit.kept) matched.push_back(columns[k]);
    add_mismatch(result, rows, matched, ratings[over], ratings[ref], num_prompts, settings,
                 warnings);
  }
  return result;
}

PooledEffects pooled_effects(std::span<const FeatureFile> files, std::int64_t min_differing) {
  // Within-prompt regression of scores on features and policy indicators: all variables demeaned by
  // prompt, equivalent to prompt fixed effects (Frisch and Waugh 1933).
  std::map<std::string, std::uint32_t> prompt_index;
  std::map<std::string, std::size_t> policy_index;
  std::vector<const FeatureRow*> rows;
  std::vector<std::uint32_t> prompts;
  for (const FeatureFile& file : files) {
    for (const FeatureRow& row : file.rows) {
      if (row.score.error) continue;
      rows.push_back(&row);
      prompts.push_back(
          prompt_index
              .try_emplace(row.score.prompt_id, static_cast<std::uint32_t>(prompt_index.size()))
              .first->second);
      policy_index.try_emplace(row.score.policy, policy_index.size());
    }
  }
  std::vector<double> counts(prompt_index.size(), 0.0);
  for (const std::uint32_t prompt : prompts) counts[prompt] += 1.0;
  const auto within = [&](const auto& value) {
    std::vector<double> values;
    std::vector<double> means(counts.size(), 0.0);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      values.push_back(value(*rows[r]));
      means[prompts[r]] += values.back() / counts[prompts[r]];
    }
    for (std::size_t r = 0; r < rows.size(); ++r) values[r] -= means[prompts[r]];
    return values;
  };
  PooledEffects result;
  result.num_rows = static_cast<std::int64_t>(rows.size());
  result.num_prompts = static_cast<std::int64_t>(counts.size());
  std::vector<std::vector<double>> features;
  for (std::size_t k = 0; k < kNumFeatures; ++k) {
    features.push_back(within([k](const FeatureRow& row) { return row.features[k]; }));
  }
  // Policies first, so that collinear features are dropped instead of policies.
  std::vector<Column> columns;
  for (const auto& [policy, index] : policy_index) {
    if (index == 0) continue;
    columns.push_back({"policy " + policy, within([&](const FeatureRow& row) {
                         return row.score.policy == policy ? 1.0 : 0.0;
                       })});
  }
  for (Column& column :
       usable_columns(std::move(features), prompts, min_differing, result.dropped)) {
    columns.push_back(std::move(column));
  }
  const Regression fit = clustered_regression(
      columns, within([](const FeatureRow& row) { return double{row.score.score}; }), prompts,
      counts.size());
  for (const DroppedFeature& one : fit.dropped) {
    if (!one.name.starts_with("policy ")) result.dropped.push_back(one);
  }
  for (std::size_t k = 0; k < fit.kept.size(); ++k) {
    const std::string& name = columns[fit.kept[k]].name;
    if (name.starts_with("policy ")) continue;
    FeatureEffect effect;
    effect.feature = name;
    effect.coefficient = {fit.coefficients[k + 1],
                          fit.interval(fit.coefficients[k + 1], fit.errors[k + 1])};
    result.effects.push_back(std::move(effect));
  }
  return result;
}

double adjustment(const PooledEffects& pooled, const Features& features) {
  double sum = 0.0;
  for (const FeatureEffect& effect : pooled.effects) {
    const auto place = std::ranges::find(kFeatures, effect.feature, &FeatureName::name);
    sum += effect.coefficient.value * features[static_cast<std::size_t>(place - kFeatures.begin())];
  }
  return sum;
}

}  // namespace charm::explain
