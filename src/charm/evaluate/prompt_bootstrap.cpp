#include "charm/evaluate/prompt_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "charm/base/check.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/interval.h"

namespace charm::evaluate {
namespace {

// Resampling within small strata underestimates the variance; a stratum of one has none.
constexpr std::size_t kSmallestSharedStratum = 5;

std::optional<stats::Interval> interval_of(std::vector<double> replicates, double value,
                                           StatisticKind kind) {
  switch (kind) {
    case StatisticKind::kPlain:
      break;
    case StatisticKind::kMagnitude:
      return stats::centred_interval(std::move(replicates), value, /*at_least=*/0.0);
    case StatisticKind::kMagnitudeDifference:
      return stats::centred_interval(std::move(replicates), value);
  }
  return stats::replicate_interval(replicates);
}

}  // namespace

PromptBootstrap::PromptBootstrap(std::span<const std::string> prompts,
                                 std::span<const std::string> groups) {
  CHARM_CHECK(prompts.size() == groups.size(), "{} prompts, {} groups", prompts.size(),
              groups.size());
  std::unordered_map<std::string, std::size_t> index_of;
  std::vector<std::set<std::string>> groups_of;
  for (std::size_t row = 0; row < prompts.size(); ++row) {
    const auto [it, is_new] = index_of.try_emplace(prompts[row], groups_of.size());
    if (is_new) groups_of.emplace_back();
    groups_of[it->second].insert(groups[row]);
    prompt_of_row_.push_back(it->second);
  }
  num_prompts_ = groups_of.size();
  std::map<std::set<std::string>, std::vector<std::size_t>> strata;
  for (std::size_t prompt = 0; prompt < num_prompts_; ++prompt)
    strata[groups_of[prompt]].push_back(prompt);
  std::vector<std::size_t> pooled;
  for (auto& [key, members] : strata) {
    if (key.size() > 1 && members.size() < kSmallestSharedStratum) {
      pooled.insert(pooled.end(), members.begin(), members.end());
    } else {
      strata_.push_back(std::move(members));
    }
  }
  if (!pooled.empty()) strata_.push_back(std::move(pooled));
}

std::vector<double> PromptBootstrap::resample(RandomStream& random) const {
  std::vector<double> count(num_prompts_, 0.0);
  for (const std::vector<std::size_t>& members : strata_) {
    for (std::size_t i = 0; i < members.size(); ++i)
      count[members[random.below(members.size())]] += 1.0;
  }
  std::vector<double> weights(prompt_of_row_.size());
  for (std::size_t row = 0; row < weights.size(); ++row) weights[row] = count[prompt_of_row_[row]];
  return weights;
}

std::vector<Estimate> bootstrap_estimates(const PromptBootstrap& rows,
                                          const WeightedStatistics& statistics,
                                          const BootstrapOptions& options,
                                          std::span<const StatisticKind> kinds) {
  const std::vector<double> ones(rows.num_rows(), 1.0);
  const std::vector<double> values = statistics(ones);
  std::vector<std::vector<double>> replicates(
      static_cast<std::size_t>(std::max<std::int64_t>(options.num_replicates, 0)));
  stats::bootstrap(replicates.size(), options.seed, "evaluate-bootstrap", /*num_threads=*/0,
                   [&](std::size_t i, RandomStream& random) {
                     replicates[i] = statistics(rows.resample(random));
                   });

  std::vector<Estimate> estimates;
  for (std::size_t s = 0; s < values.size(); ++s) {
    std::vector<double> defined;
    for (const std::vector<double>& replicate : replicates) {
      if (std::isfinite(replicate[s])) defined.push_back(replicate[s]);
    }
    Estimate& estimate = estimates.emplace_back(Estimate{.value = values[s], .ci95 = {}});
    if (!std::isfinite(values[s])) continue;
    const StatisticKind kind = kinds.empty() ? StatisticKind::kPlain : kinds[s];
    estimate.ci95 = interval_of(std::move(defined), values[s], kind);
  }
  return estimates;
}

}  // namespace charm::evaluate
