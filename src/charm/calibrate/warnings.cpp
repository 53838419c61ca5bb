#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "charm/calibrate/replicates.h"
#include "charm/stats/elo.h"

namespace charm::calibrate {
namespace {

void warn_about_single_residual(const OffsetProblem& problem, double residual,
                                std::vector<std::string>& warnings) {
  const auto num_rows = static_cast<double>(problem.pairs.front().rows.over.size());
  if (std::abs(residual) <= 1.0 / num_rows) return;
  warnings.push_back(
      fmt::format("the nearest win rate misses the target by {:.4g}, more than one row: many "
                  "differences of scores are equal; scores in float32 would be finer",
                  residual));
}

// Critical value of `num_pairs` two-sided z-tests at level 0.05 (Bonferroni).
double critical_value(std::size_t num_pairs) {
  const double tail = 0.025 / static_cast<double>(num_pairs);
  double lo = 0.0;
  double hi = 40.0;
  for (int step = 0; step < 100; ++step) {
    const double middle = 0.5 * (lo + hi);
    (0.5 * std::erfc(middle / std::sqrt(2.0)) > tail ? lo : hi) = middle;
  }
  return lo;
}

/// The first ones, and how many there are besides.
std::string first_of(const std::vector<std::string>& texts) {
  constexpr std::size_t kShown = 5;
  const std::span<const std::string> shown(texts.begin(), std::min(texts.size(), kShown));
  std::string text = fmt::format("{}", fmt::join(shown, "; "));
  if (texts.size() > kShown) text += fmt::format("; and {} more", texts.size() - kShown);
  return text;
}

}  // namespace

void warn_about_pairs(const OffsetProblem& problem, std::vector<std::string>& warnings) {
  std::vector<std::string> apart, uneven;  // one line each, however many policies there are
  for (const stats::PolicyPair& pair : problem.pairs) {
    if (pair.ref != problem.reference) continue;
    const std::string& over = problem.policies[pair.over];
    const std::string& ref = problem.policies[pair.ref];
    const auto [over_lo, over_hi] =
        std::minmax_element(pair.rows.over.begin(), pair.rows.over.end());
    const auto [ref_lo, ref_hi] = std::minmax_element(pair.rows.ref.begin(), pair.rows.ref.end());
    if (*over_lo > *ref_hi || *ref_lo > *over_hi) {
      apart.push_back(fmt::format("'{}' [{}, {}] and '{}' [{}, {}]", over, *over_lo, *over_hi, ref,
                                  *ref_lo, *ref_hi));
    }
    if (pair.rows.missing_over + pair.rows.missing_ref > 0) {
      uneven.push_back(fmt::format("'{}' and '{}' share {} prompts ({} and {} rows dropped)", over,
                                   ref, pair.rows.num_prompts, pair.rows.missing_ref,
                                   pair.rows.missing_over));
    }
  }
  if (!apart.empty()) {
    warnings.push_back(fmt::format(
        "scores do not overlap: {}: the offset is well defined, but check that all come "
        "from the same reward model",
        first_of(apart)));
  }
  if (!uneven.empty())
    warnings.push_back(fmt::format("rows without a counterpart: {}", first_of(uneven)));
}

void warn_about_residuals(const OffsetProblem& problem, const OffsetSolution& solution,
                          std::span<const ArenaRating> ratings,
                          std::vector<std::string>& warnings) {
  if (problem.pairs.size() == 1) {
    if (problem.options.mode.kind == ModeKind::kSamePrompt) {
      warn_about_single_residual(problem, solution.residuals.front(), warnings);
    }
    return;
  }
  // Residuals of the fit are smaller than sampling errors at fixed offsets, so the test is
  // conservative.
  const double critical = critical_value(problem.pairs.size());
  const auto rating_se = stats::rating_errors(ratings);
  struct Conflict {
    double z_score;
    std::string text;
  };
  std::vector<Conflict> conflicts;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const stats::PolicyPair& pair = problem.pairs[p];
    const double sampling_variance =
        pair.target * (1.0 - pair.target) / static_cast<double>(pair.rows.num_prompts);
    const double per_elo = stats::target_slope(pair.target);
    const double rating_variance =
        per_elo * per_elo *
        (rating_se[pair.over] * rating_se[pair.over] + rating_se[pair.ref] * rating_se[pair.ref]);
    const double z_score = solution.residuals[p] / std::sqrt(sampling_variance + rating_variance);
    if (std::abs(z_score) <= critical) continue;
    conflicts.push_back(
        {std::abs(z_score),
         fmt::format("'{}' over '{}' {:.3f} instead of {:.3f} ({:+.1f} standard errors)",
                     problem.policies[pair.over], problem.policies[pair.ref],
                     pair.target + solution.residuals[p], pair.target, z_score)});
  }
  if (conflicts.empty()) return;
  std::stable_sort(conflicts.begin(), conflicts.end(),
                   [](const Conflict& a, const Conflict& b) { return a.z_score > b.z_score; });
  constexpr std::size_t kShown = 3;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(kShown, conflicts.size()); ++i) {
    shown.push_back(conflicts[i].text);
  }
  warnings.push_back(
      fmt::format("the ratings are inconsistent under this reward model: {} of {} pairs miss their "
                  "targets significantly at the best offsets; the largest residuals: {}",
                  conflicts.size(), problem.pairs.size(), fmt::join(shown, "; ")));
}

void warn_about_intervals(std::span<const ArenaRating> ratings,
                          std::span<const Replicate> replicates,
                          std::vector<std::string>& warnings) {
  if (replicates.empty()) return;
  std::vector<std::string> exact;
  for (const ArenaRating& rating : ratings) {
    if (!rating.rating_lo || !rating.rating_hi) exact.push_back(rating.name);
  }
  if (!exact.empty()) {
    warnings.push_back(fmt::format("no rating interval for {}: taken as exact in the intervals",
                                   fmt::join(exact, ", ")));
  }
  const auto failed = std::count_if(replicates.begin(), replicates.end(),
                                    [](const Replicate& replicate) { return !replicate.offsets; });
  if (failed > 0) {
    warnings.push_back(
        fmt::format("{} of {} bootstrap replicates have no solution and are dropped from the "
                    "offsets' intervals",
                    failed, replicates.size()));
  }
}

}  // namespace charm::calibrate
