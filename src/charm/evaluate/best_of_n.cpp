#include "charm/evaluate/best_of_n.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/evaluate/metrics.h"
#include "charm/evaluate/picks.h"
#include "charm/evaluate/prompt_bootstrap.h"

namespace charm::evaluate {
namespace {

std::size_t feature_index(std::string_view name) {
  const auto place = std::ranges::find(kFeatures, name, &FeatureName::name);
  return static_cast<std::size_t>(place - kFeatures.begin());
}

// The measures that are counts of a feature.
struct FeatureMeasure {
  std::string_view name;
  std::string_view feature;
};
constexpr std::array<FeatureMeasure, 5> kFeatureMeasures = {{{"lists", "lists"},
                                                             {"headers", "headers"},
                                                             {"bold", "bold"},
                                                             {"refusals", "refusal"},
                                                             {"agreement", "opening_agreement"}}};

// Biases first, then quality where every candidate has it.
std::vector<std::string> measure_names(std::span<const Candidate> candidates) {
  std::vector<std::string> names = {"length"};
  for (const FeatureMeasure& measure : kFeatureMeasures) names.emplace_back(measure.name);
  names.emplace_back("score");
  for (const char* name : {"gold_score", "label"}) {
    if (std::ranges::all_of(candidates, [name](const Candidate& one) {
          return measure_of(one, name).has_value();
        })) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::vector<RowGroup> by_prompt(std::span<const Candidate> candidates) {
  std::vector<std::string> prompts;
  for (const Candidate& candidate : candidates) prompts.push_back(candidate.prompt_id);
  return rows_by_group(prompts);
}

// 1, 2, 4, ... up to the most candidates of a prompt, and that number if every prompt has it.
std::vector<std::size_t> sizes_of(const std::vector<RowGroup>& prompts) {
  std::size_t most = 0, fewest = std::numeric_limits<std::size_t>::max();
  for (const RowGroup& prompt : prompts) {
    most = std::max(most, prompt.rows.size());
    fewest = std::min(fewest, prompt.rows.size());
  }
  std::vector<std::size_t> sizes;
  for (std::size_t n = 1; n <= most; n *= 2) sizes.push_back(n);
  if (sizes.back() != most && fewest == most) sizes.push_back(most);
  return sizes;
}

// The audit of one n.
class Audit {
 public:
  Audit(std::span<const Candidate> candidates, const std::vector<RowGroup>& prompts,
        const std::vector<std::string>& policies, std::span<const std::string> measures,
        const std::map<std::string, double>& ratings, std::size_t n)
      : candidates_(candidates),
        policies_(policies),
        measures_(measures),
        ratings_(ratings),
        n_(n),
        has_after_(candidates.front().score_after.has_value()) {
    for (const RowGroup& prompt : prompts) {
      if (prompt.rows.size() >= n) add(prompt);
    }
  }

  PicksOfN result(const BootstrapOptions& options) const {
    PicksOfN result;
    result.n = static_cast<std::int64_t>(n_);
    result.num_prompts = static_cast<std::int64_t>(prompt_ids_.size());
    result.kl = best_of_n_kl(n_);
    const std::size_t width = values_.front().size();
    const WeightedStatistics statistics = [&](std::span<const double> weights) {
      std::vector<double> means(width, 0.0);
      double total = 0.0;
      for (std::size_t p = 0; p < values_.size(); ++p) {
        if (weights[p] == 0.0) continue;
        total += weights[p];
        for (std::size_t k = 0; k < width; ++k) means[k] += weights[p] * values_[p][k];
      }
      for (double& mean : means) mean /= total;
      return means;
    };
    const std::vector<std::string> groups(prompt_ids_.size(), "prompts");
    const std::vector<Estimate> estimates =
        bootstrap_estimates(PromptBootstrap(prompt_ids_, groups), statistics, options);
    const std::size_t count = measures_.size() + policies_.size();
    for (std::size_t k = 0; k < count; ++k) {
      PickMeasure measure;
      measure.before = estimates[k];
      if (has_after_) {
        measure.after = estimates[count + k];
        measure.difference = estimates[2 * count + k];
      }
      const bool is_policy = k >= measures_.size();
      measure.name = is_policy ? policies_[k - measures_.size()] : measures_[k];
      if (is_policy && !ratings_.empty())
        measure.implied = implied_[k - measures_.size()] / static_cast<double>(prompt_ids_.size());
      (is_policy ? result.policies : result.measures).push_back(std::move(measure));
    }
    if (has_after_) result.same_pick = estimates[3 * count];
    return result;
  }

 private:
  // One prompt: means before, after, their differences, and whether the pick stays.
  void add(const RowGroup& prompt) {
    std::vector<double> before, after;
    for (const std::size_t row : prompt.rows) {
      before.push_back(candidates_[row].score);
      after.push_back(candidates_[row].score_after.value_or(candidates_[row].score));
    }
    std::vector<double> values = means(prompt, pick_probabilities(before, n_));
    if (has_after_) {
      const std::vector<double> corrected = means(prompt, pick_probabilities(after, n_));
      const std::size_t count = values.size();
      values.insert(values.end(), corrected.begin(), corrected.end());
      for (std::size_t k = 0; k < count; ++k) values.push_back(corrected[k] - values[k]);
      values.push_back(same_pick_probability(before, after, n_));
    }
    values_.push_back(std::move(values));
    prompt_ids_.push_back(prompt.name);
    if (!ratings_.empty()) add_implied(prompt);
  }

  std::vector<double> means(const RowGroup& prompt,
                            const std::vector<double>& probabilities) const {
    std::vector<double> values(measures_.size() + policies_.size(), 0.0);
    for (std::size_t i = 0; i < prompt.rows.size(); ++i) {
      const Candidate& candidate = candidates_[prompt.rows[i]];
      for (std::size_t k = 0; k < measures_.size(); ++k)
        values[k] += probabilities[i] * measure_of(candidate, measures_[k]).value();
      values[measures_.size() + policy_index(candidate.policy)] += probabilities[i];
    }
    return values;
  }

  // Plackett-Luce by the ratings; equal sets of candidates are computed once.
  void add_implied(const RowGroup& prompt) {
    std::vector<std::size_t> members;
    for (const std::size_t row : prompt.rows)
      members.push_back(policy_index(candidates_[row].policy));
    std::ranges::sort(members);
    auto [place, is_new] = implied_of_set_.try_emplace(members);
    if (is_new) {
      std::vector<double> log_strengths;
      for (const std::size_t policy : members)
        log_strengths.push_back(ratings_.at(policies_[policy]) * std::log(10.0) / 400.0);
      place->second = plackett_luce_picks(log_strengths, n_);
    }
    implied_.resize(policies_.size(), 0.0);
    for (std::size_t i = 0; i < members.size(); ++i) implied_[members[i]] += place->second[i];
  }

  std::size_t policy_index(const std::string& policy) const {
    return static_cast<std::size_t>(std::ranges::lower_bound(policies_, policy) -
                                    policies_.begin());
  }

  std::span<const Candidate> candidates_;
  const std::vector<std::string>& policies_;  // by name
  std::span<const std::string> measures_;
  const std::map<std::string, double>& ratings_;
  std::size_t n_;
  bool has_after_;
  std::vector<std::string> prompt_ids_;
  std::vector<std::vector<double>> values_;  // [prompt]
  std::vector<double> implied_;              // [policy] sum over prompts
  std::map<std::vector<std::size_t>, std::vector<double>> implied_of_set_;
};

}  // namespace

std::optional<double> measure_of(const Candidate& candidate, std::string_view measure) {
  if (measure == "length") return std::expm1(candidate.features[kLogLength]);
  if (measure == "score") return candidate.score;
  if (measure == "gold_score") return candidate.gold_score;
  if (measure == "label") return candidate.label;
  const auto place = std::ranges::find(kFeatureMeasures, measure, &FeatureMeasure::name);
  CHARM_CHECK(place != kFeatureMeasures.end(), "the audit has no measure '{}'", measure);
  return candidate.features[feature_index(place->feature)];
}

std::vector<PicksOfN> best_of_n_audit(std::span<const Candidate> candidates,
                                      const std::map<std::string, double>& ratings,
                                      const BootstrapOptions& options) {
  if (candidates.empty())
    throw Error(ErrorKind::kInput, "best-of-n: no scored responses to pick from");
  const std::vector<RowGroup> prompts = by_prompt(candidates);
  std::set<std::string> names;
  for (const Candidate& candidate : candidates) names.insert(candidate.policy);
  const std::vector<std::string> policies(names.begin(), names.end());
  const std::vector<std::string> measures = measure_names(candidates);
  std::vector<PicksOfN> picks;
  for (const std::size_t n : sizes_of(prompts))
    picks.push_back(Audit(candidates, prompts, policies, measures, ratings, n).result(options));
  if (picks.size() < 2) {
    throw Error(ErrorKind::kInput,
                "every prompt has one response only; best-of-n needs several samples or policies");
  }
  return picks;
}

}  // namespace charm::evaluate
