#include "charm/calibrate/vote_fit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/calibrate/rating_prior.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/comparison_graph.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"

namespace charm::calibrate {
namespace {

// Columns: the score difference, policies without the reference, style features that vary.
struct VoteDesign {
  stats::ComparisonDesign rows;
  std::vector<std::size_t> column_of_policy;  // the reference: rows.num_parameters
  std::vector<std::size_t> features;          // of the style columns, which come last

  std::size_t column_of_feature(std::size_t index) const {
    return rows.num_parameters - features.size() + index;
  }
};

double feature_sd(const stats::VoteTable& table, std::size_t feature) {
  std::vector<double> values;
  for (const auto& style : table.styles) values.push_back(style[feature]);
  return stats::standard_deviation(values);
}

VoteDesign make_design(const stats::VoteTable& table, std::size_t reference,
                       std::vector<std::string>& warnings) {
  VoteDesign design;
  if (!table.styles.empty()) {
    for (std::size_t f = 0; f < kNumStyles; ++f) {
      if (feature_sd(table, f) > 0.0) {
        design.features.push_back(f);
        continue;
      }
      warnings.push_back(fmt::format(
          "style feature '{}' does not vary over the votes and has no weight", kStyleNames[f]));
    }
  }
  const std::size_t num_policies = table.policies.size();
  stats::ComparisonDesign& rows = design.rows;
  rows.num_parameters = num_policies + design.features.size();
  rows.width = 3 + design.features.size();
  for (std::size_t p = 0; p < num_policies; ++p) {
    design.column_of_policy.push_back(p == reference  ? rows.num_parameters
                                      : p < reference ? p + 1
                                                      : p);
  }
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const stats::VoteRow& row = table.rows[r];
    const auto add = [&](std::size_t column, double value) {
      rows.columns.push_back(static_cast<std::uint32_t>(column));
      rows.values.push_back(value);
    };
    add(0, row.score_a - row.score_b);
    add(design.column_of_policy[row.a], 1.0);
    add(design.column_of_policy[row.b], -1.0);
    for (std::size_t i = 0; i < design.features.size(); ++i)
      add(design.column_of_feature(i), table.styles[r][design.features[i]]);
    rows.outcomes.push_back(row.outcome);
  }
  return design;
}

std::string shown_names(const stats::VoteTable& table, const std::vector<std::size_t>& policies) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kShown, policies.size()); ++i)
    names.push_back("'" + table.policies[policies[i]] + "'");
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (policies.size() > kShown) text += fmt::format(" and {} more", policies.size() - kShown);
  return text;
}

std::vector<stats::ComparisonEdge> edges_of(const stats::VoteTable& table) {
  std::vector<stats::ComparisonEdge> edges;
  for (const stats::VoteRow& row : table.rows)
    edges.push_back({.a = row.a, .b = row.b, .outcome = row.outcome});
  return edges;
}

// Throws where offsets have no common scale or would be infinite.
void check_graph(const stats::VoteTable& table, bool has_prior) {
  const auto edges = edges_of(table);
  const auto components = stats::connected_components(table.policies.size(), edges);
  if (components.size() > 1) {
    throw Error(ErrorKind::kInput,
                "the votes form {} disconnected components, so their offsets have no common scale: "
                "no vote between {} and {}; calibrate the components separately (--policies) or "
                "add votes between them",
                components.size(), shown_names(table, components[1]),
                shown_names(table, components[0]));
  }
  if (has_prior) return;
  const auto groups = stats::win_components(table.policies.size(), edges);
  for (std::size_t g = 1; g < groups.size(); ++g) {
    const auto outside = stats::outcomes_against_others(edges, groups[g]);
    if (outside.wins && outside.loses) continue;
    throw Error(ErrorKind::kInput,
                "the offset of {} is infinite: {} every vote against the others; give --ratings as "
                "a prior, or leave it out with --policies",
                shown_names(table, groups[g]), outside.wins ? "won" : "lost");
  }
}

std::int64_t num_ties(const stats::VoteTable& table) {
  return std::count_if(table.rows.begin(), table.rows.end(),
                       [](const stats::VoteRow& row) { return row.outcome == 0.5; });
}

// Throws where the scores carry no information on the votes.
void check_slope(double slope, double se) {
  const double lo = slope - stats::kNormal975 * se, hi = slope + stats::kNormal975 * se;
  if (lo > 0.0) return;
  if (hi < 0.0) {
    throw Error(ErrorKind::kInput,
                "the scores do not predict the votes: 1 / temperature is {:.4g}, 95 % [{:.4g}, "
                "{:.4g}], so the temperature is negative; no offsets in score units exist",
                slope, lo, hi);
  }
  throw Error(ErrorKind::kInput,
              "the scores do not predict the votes: 1 / temperature is {:.4g}, 95 % [{:.4g}, "
              "{:.4g}], which includes 0, so the temperature is without bound; no offsets in score "
              "units; give more votes or another reward model",
              slope, lo, hi);
}

// Parameters in the units of the result.
struct Transformed {
  double temperature = 0.0;
  std::vector<double> offsets;  // [policy]
};

Transformed transform(const VoteDesign& design, std::span<const double> parameters) {
  Transformed result{.temperature = 1.0 / parameters[0], .offsets = {}};
  for (const std::size_t column : design.column_of_policy) {
    result.offsets.push_back(
        column == design.rows.num_parameters ? 0.0 : parameters[column] / parameters[0]);
  }
  return result;
}

Estimate wald(double value, double se) {
  const double half = stats::kNormal975 * se;
  return {.value = value, .ci95 = Interval{.lo = value - half, .hi = value + half}};
}

// Standard errors by the delta method.
void set_sandwich(const VoteDesign& design, const stats::ComparisonFit& fit,
                  std::span<const double> covariance, VoteSolution& solution) {
  const std::size_t n = fit.parameters.size();
  const auto at = [&](std::size_t i, std::size_t j) { return covariance[i * n + j]; };
  const double b = fit.parameters[0];
  const Transformed values = transform(design, fit.parameters);
  solution.fit.temperature_se = std::sqrt(at(0, 0)) / (b * b);
  solution.fit.temperature = wald(values.temperature, solution.fit.temperature_se);
  for (std::size_t p = 0; p < values.offsets.size(); ++p) {
    const std::size_t column = design.column_of_policy[p];
    double se = 0.0;
    if (column != design.rows.num_parameters) {
      const double offset = values.offsets[p];
      const double variance =
          (at(column, column) - 2.0 * offset * at(column, 0) + offset * offset * at(0, 0)) /
          (b * b);
      se = std::sqrt(std::max(variance, 0.0));
    }
    solution.offset_ses.push_back(se);
    solution.offsets.push_back(wald(values.offsets[p], se));
  }
  for (std::size_t i = 0; i < design.features.size(); ++i) {
    const std::size_t column = design.column_of_feature(i);
    const double se = std::sqrt(std::max(at(column, column), 0.0));
    solution.fit.style_weights.push_back({.feature = std::string(kStyleNames[design.features[i]]),
                                          .weight = wald(fit.parameters[column], se),
                                          .se = se});
  }
  if (n == design.rows.num_parameters) return;
  const double log_nu = fit.parameters.back();
  const Interval log_ci = *wald(log_nu, std::sqrt(at(n - 1, n - 1))).ci95;
  solution.fit.tie_parameter = {
      .value = std::exp(log_nu),
      .ci95 = Interval{.lo = std::exp(log_ci.lo), .hi = std::exp(log_ci.hi)}};
}

// [replicate] parameters; empty where a replicate has no finite solution.
std::vector<std::vector<double>> bootstrap_parameters(
    const stats::VoteTable& table, const VoteDesign& design, const stats::ComparisonFit& fit,
    stats::TieModel ties, std::span<const std::uint32_t> cluster_of_row, std::size_t num_clusters,
    const RatingPrior* prior, std::span<const ArenaRating> ratings, const VoteFitOptions& options,
    const ProgressFn& progress) {
  constexpr double kTolerance = 1e-8;  // squared standard errors, before the last step
  std::vector<std::vector<double>> replicates(static_cast<std::size_t>(options.bootstrap));
  ProgressCounter done(progress, "bootstrap", options.bootstrap, "replicates");
  stats::bootstrap(
      replicates.size(), options.seed, "votes", options.num_threads,
      [&](std::size_t index, RandomStream& stream) {
        const auto drawn = stats::resample_prompts(num_clusters, stream);
        std::vector<double> weights;
        weights.reserve(cluster_of_row.size());
        for (const std::uint32_t cluster : cluster_of_row)
          weights.push_back(static_cast<double>(drawn[cluster]));
        stats::ComparisonFitOptions fitting{
            .ties = ties, .penalty = {}, .start = fit.parameters, .tolerance = kTolerance};
        bool is_finite = true;
        if (prior != nullptr) {
          fitting.penalty = prior->penalty(stats::draw_ratings(ratings, stream));
        } else {
          is_finite = stats::has_finite_ratings(table.policies.size(), table.rows, weights);
        }
        if (is_finite) {
          stats::ComparisonFit replicate = fit_comparisons(design.rows, weights, fitting);
          if (replicate.is_converged && replicate.parameters[0] > 0.0)
            replicates[index] = std::move(replicate.parameters);
        }
        done.advance();
      });
  return replicates;
}

// Replaces errors and intervals by those of the replicates.
void set_bootstrap(const VoteDesign& design, std::span<const std::vector<double>> replicates,
                   VoteSolution& solution) {
  std::vector<std::vector<double>> temperatures(1), offsets(solution.offsets.size()),
      parameters(design.rows.num_parameters + (solution.fit.tie_parameter ? 1 : 0));
  for (const std::vector<double>& replicate : replicates) {
    if (replicate.empty()) continue;
    const Transformed values = transform(design, replicate);
    temperatures[0].push_back(values.temperature);
    for (std::size_t p = 0; p < offsets.size(); ++p) offsets[p].push_back(values.offsets[p]);
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].push_back(replicate[i]);
  }
  const auto num_used = static_cast<std::int64_t>(temperatures[0].size());
  const auto num_failed = static_cast<std::int64_t>(replicates.size()) - num_used;
  if (num_used == 0) {
    throw Error(ErrorKind::kInput,
                "no bootstrap replicate has a finite solution; use --interval sandwich");
  }
  if (num_failed > 0) {
    solution.warnings.push_back(
        fmt::format("{} of {} bootstrap replicates have no finite solution and are dropped; "
                    "intervals are too narrow for policies with few votes",
                    num_failed, replicates.size()));
  }
  solution.fit.temperature_se = stats::standard_deviation(temperatures[0]);
  solution.fit.temperature.ci95 = stats::replicate_interval(temperatures[0]);
  for (std::size_t p = 0; p < offsets.size(); ++p) {
    solution.offset_ses[p] = stats::standard_deviation(offsets[p]);
    solution.offsets[p].ci95 = stats::replicate_interval(offsets[p]);
  }
  for (std::size_t i = 0; i < design.features.size(); ++i) {
    StyleWeight& weight = solution.fit.style_weights[i];
    weight.se = stats::standard_deviation(parameters[design.column_of_feature(i)]);
    weight.weight.ci95 = stats::replicate_interval(parameters[design.column_of_feature(i)]);
  }
  if (!solution.fit.tie_parameter) return;
  for (double& log_nu : parameters.back()) log_nu = std::exp(log_nu);
  solution.fit.tie_parameter->ci95 = stats::replicate_interval(parameters.back());
}

}  // namespace

std::string_view vote_cluster_name(VoteCluster cluster) {
  return cluster == VoteCluster::kPrompt ? "prompt" : "judge";
}

std::string_view interval_name(IntervalKind kind) {
  return kind == IntervalKind::kSandwich ? "sandwich" : "bootstrap";
}

VoteSolution fit_votes(const stats::VoteTable& table, std::size_t reference,
                       std::span<const ArenaRating> prior, const VoteFitOptions& options,
                       const ProgressFn& progress) {
  const bool is_by_judge = options.cluster == VoteCluster::kJudge;
  if (is_by_judge && !table.has_judges) {
    throw Error(ErrorKind::kInput,
                "--cluster judge: some votes name no judge (column judge); use --cluster prompt");
  }
  const std::size_t num_clusters = is_by_judge ? table.num_judges : table.num_prompts;
  if (static_cast<std::int64_t>(num_clusters) < options.min_clusters) {
    throw Error(
        ErrorKind::kInput,
        "the votes are of {} {}{}; expected at least {} (--min-prompts): intervals would be "
        "meaningless",
        num_clusters, vote_cluster_name(options.cluster), num_clusters == 1 ? "" : "s",
        options.min_clusters);
  }
  check_graph(table, !prior.empty());
  VoteSolution solution;
  solution.warnings = table.warnings();
  const std::int64_t ties = num_ties(table);
  if (ties == static_cast<std::int64_t>(table.rows.size())) {
    throw Error(ErrorKind::kInput, "all {} votes are ties; they determine no temperature", ties);
  }
  const auto is_equal = [](const stats::VoteRow& row) { return row.score_a == row.score_b; };
  if (std::ranges::all_of(table.rows, is_equal)) {
    throw Error(ErrorKind::kInput,
                "the scores do not predict the votes: both responses of every vote have the same "
                "score, so there is no temperature; give scores of another reward model");
  }
  stats::TieModel model = options.ties;
  if (model == stats::TieModel::kDavidson && ties == 0) {
    solution.warnings.push_back(
        "there are no ties: Davidson's tie parameter is 0 and the fit that of half votes");
    model = stats::TieModel::kHalf;
  }
  const auto start = std::chrono::steady_clock::now();
  const VoteDesign design = make_design(table, reference, solution.warnings);
  const auto cluster_of_row = is_by_judge ? table.judge_of_row() : table.prompt_of_row();
  std::optional<RatingPrior> rating_prior;
  stats::ComparisonFitOptions fitting{.ties = model, .penalty = {}, .start = {}};
  if (!prior.empty()) {
    rating_prior.emplace(table, design.rows, model, reference, prior);
    std::vector<double> ratings;
    for (const ArenaRating& rating : prior) ratings.push_back(rating.rating_elo);
    fitting.penalty = rating_prior->penalty(std::move(ratings));
  }
  const stats::ComparisonFit fit = fit_comparisons(design.rows, {}, fitting);
  const auto votes = static_cast<double>(table.rows.size());
  constexpr double kSeparated = 1e-6;  // mean loss of a vote
  if (-fit.log_likelihood < kSeparated * votes) {
    throw Error(ErrorKind::kInput,
                "scores and offsets predict every vote: the likelihood has no maximum (temperature "
                "0); give more votes");
  }
  if (!fit.is_converged) {
    throw Error(ErrorKind::kInput,
                "the fit did not converge: the votes determine no finite temperature, offsets and "
                "style weights; give more votes or fewer policies (--policies)");
  }
  std::vector<double> extra;
  if (rating_prior) extra = rating_prior->information(fit.parameters);
  const std::vector<double> covariance =
      stats::clustered_covariance(design.rows, model, fit, cluster_of_row, num_clusters, extra);
  check_slope(fit.parameters[0], std::sqrt(covariance[0]));
  set_sandwich(design, fit, covariance, solution);
  log::debug("fit of {} votes, {} parameters, with its covariance: {:.3f} s", table.rows.size(),
             fit.parameters.size(),
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    solution.expected.push_back(
        stats::expected_outcome(design.rows, model, row, fit.parameters).value);
  }
  for (std::size_t i = 0; i < design.features.size(); ++i)
    solution.fit.style_weights[i].sd = feature_sd(table, design.features[i]);
  if (options.interval == IntervalKind::kBootstrap) {
    const auto replicates =
        bootstrap_parameters(table, design, fit, model, cluster_of_row, num_clusters,
                             rating_prior ? &*rating_prior : nullptr, prior, options, progress);
    set_bootstrap(design, replicates, solution);
  }
  solution.fit.ties = stats::tie_model_name(options.ties);
  solution.fit.cluster = vote_cluster_name(options.cluster);
  solution.fit.interval = interval_name(options.interval);
  solution.fit.style = options.style == StyleControl::kNone ? "none" : "fastchat";
  solution.fit.num_votes = static_cast<std::int64_t>(table.rows.size());
  solution.fit.num_ties = ties;
  solution.fit.num_judges = static_cast<std::int64_t>(table.num_judges);
  solution.fit.num_clusters = static_cast<std::int64_t>(num_clusters);
  solution.fit.log_loss = -fit.log_likelihood / votes;
  solution.fit.has_rating_prior = rating_prior.has_value();
  if (options.ties == stats::TieModel::kDavidson && !solution.fit.tie_parameter)
    solution.fit.tie_parameter = Estimate{.value = 0.0, .ci95 = {}};
  return solution;
}

}  // namespace charm::calibrate
