#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "charm/evaluate/metrics.h"
#include "charm/explain/explanation.h"
#include "charm/explain/regression.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/outcomes.h"

namespace charm::explain {
namespace {

constexpr double kMinEffectiveRows = 30.0;

// Row weights: uniform, or balanced on some columns.
class BalancedWeights {
 public:
  BalancedWeights(std::vector<std::vector<double>> columns, std::size_t num_rows)
      : columns_(std::move(columns)) {
    if (columns_.empty()) return;
    start_ = balance(columns_, std::vector<double>(num_rows, 1.0));
  }

  bool is_uniform() const { return columns_.empty(); }
  const std::optional<Balance>& start() const { return start_; }

  std::optional<double> win_rate(std::span<const double> wins, std::span<const double> base) const {
    if (is_uniform()) return evaluate::weighted_mean(wins, base);
    const auto found = balance(columns_, base, start_->multipliers);
    if (!found) return std::nullopt;
    return evaluate::weighted_mean(wins, found->weights);
  }

 private:
  std::vector<std::vector<double>> columns_;
  std::optional<Balance> start_;
};

struct Replicates {
  std::vector<std::optional<double>> win_rates;
  std::vector<double> targets;
};

void put_intervals(const Replicates& replicates, results::Estimate& win_rate,
                   results::Estimate& mismatch) {
  std::vector<double> rates;
  std::vector<double> degrees;
  for (std::size_t i = 0; i < replicates.targets.size(); ++i) {
    if (!replicates.win_rates[i]) continue;
    rates.push_back(*replicates.win_rates[i]);
    degrees.push_back(stats::mismatch_degree(*replicates.win_rates[i], replicates.targets[i]));
  }
  win_rate.ci95 = stats::replicate_interval(rates);
  mismatch.ci95 = stats::replicate_interval(degrees);
}

}  // namespace

void add_mismatch(PairExplanation& explanation, const stats::PairRows& rows,
                  std::span<const Column> columns, const ArenaRating& over, const ArenaRating& ref,
                  std::size_t num_prompts, const ExplainSettings& settings,
                  std::vector<std::string>& warnings) {
  const double target = stats::target_win_rate(over.rating_elo, ref.rating_elo);
  const auto wins = stats::Outcomes(rows.over, rows.ref).values(settings.ties);
  std::vector<std::vector<double>> length;
  std::vector<std::vector<double>> all;
  std::vector<std::string> names;
  for (const Column& column : columns) {
    if (column.name == kFeatures[kLogLength].name) length.push_back(column.values);
    all.push_back(column.values);
    names.push_back(column.name);
  }
  std::array<BalancedWeights, 3> weightings = {BalancedWeights({}, wins.size()),
                                               BalancedWeights(std::move(length), wins.size()),
                                               BalancedWeights(std::move(all), wins.size())};
  const auto is_used = [&](std::size_t m) {
    if (m == 0) return true;
    const auto& start = weightings[m].start();
    return start && start->effective_rows >= kMinEffectiveRows;
  };

  std::array<Replicates, 3> replicates;
  const auto num_replicates = static_cast<std::size_t>(settings.bootstrap);
  for (Replicates& one : replicates) {
    one.win_rates.resize(num_replicates);
    one.targets.resize(num_replicates);
  }
  const std::array ratings = {over, ref};
  stats::bootstrap(num_replicates, settings.seed, "explain", settings.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     const auto weights = stats::resample_prompts(num_prompts, stream);
                     const auto drawn = stats::draw_ratings(ratings, stream);
                     std::vector<double> base;
                     double total = 0.0;
                     for (const std::uint32_t prompt : rows.prompt) {
                       base.push_back(weights[prompt]);
                       total += base.back();
                     }
                     for (std::size_t m = 0; m < weightings.size(); ++m) {
                       replicates[m].targets[index] = stats::target_win_rate(drawn[0], drawn[1]);
                       if (total > 0.0 && is_used(m))
                         replicates[m].win_rates[index] = weightings[m].win_rate(wins, base);
                     }
                   });

  explanation.target_win_rate = target;
  const std::vector<double> ones(wins.size(), 1.0);
  explanation.win_rate = results::Estimate{evaluate::weighted_mean(wins, ones), {}};
  explanation.mismatch =
      results::Estimate{stats::mismatch_degree(explanation.win_rate->value, target), {}};
  put_intervals(replicates[0], *explanation.win_rate, *explanation.mismatch);
  for (const std::size_t m : {std::size_t{1}, std::size_t{2}}) {
    const auto& start = weightings[m].start();
    const std::string kind = m == 1 ? "length" : "length and style";
    if (weightings[m].is_uniform()) continue;  // no features to match on
    if (!is_used(m)) {
      warnings.push_back(fmt::format(
          "'{}' against '{}': no MD matched on {}: {}", explanation.policy, explanation.reference,
          kind,
          start ? fmt::format("the effective sample size would be {:.0f}, less than {:.0f}",
                              start->effective_rows, kMinEffectiveRows)
                : "no weights of the prompts balance the features"));
      continue;
    }
    results::MatchedMismatch matched;
    matched.features =
        m == 1 ? std::vector<std::string>{std::string(kFeatures[kLogLength].name)} : names;
    matched.effective_rows = start->effective_rows;
    matched.win_rate.value = evaluate::weighted_mean(wins, start->weights);
    matched.mismatch.value = stats::mismatch_degree(matched.win_rate.value, target);
    put_intervals(replicates[m], matched.win_rate, matched.mismatch);
    (m == 1 ? explanation.length_matched : explanation.style_matched) = std::move(matched);
  }
}

}  // namespace charm::explain
