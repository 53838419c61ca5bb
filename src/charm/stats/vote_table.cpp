#include "charm/stats/vote_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/base/strings.h"
#include "charm/stats/comparison_graph.h"
#include "charm/stats/interval.h"
#include "charm/stats/paired_scores.h"

namespace charm::stats {
namespace {

// Index of each distinct text, in order of first appearance.
class TextIndex {
 public:
  std::uint32_t of(const std::string& text) {
    return index_.try_emplace(text, static_cast<std::uint32_t>(index_.size())).first->second;
  }
  std::size_t size() const { return index_.size(); }

 private:
  std::unordered_map<std::string, std::uint32_t> index_;
};

std::vector<std::string> policies_in(std::span<const ScoredVote> votes,
                                     const std::vector<std::string>& requested) {
  std::vector<std::string> present;
  for (const ScoredVote& vote : votes) {
    present.push_back(vote.vote.model_a);
    present.push_back(vote.vote.model_b);
  }
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  check_distinct_without_case(present);
  if (requested.empty()) return present;
  std::vector<std::string> policies = requested;
  std::sort(policies.begin(), policies.end());
  policies.erase(std::unique(policies.begin(), policies.end()), policies.end());
  for (const std::string& name : policies) {
    if (std::binary_search(present.begin(), present.end(), name)) continue;
    throw Error(ErrorKind::kUsage, "no votes on policy '{}'; nearest names: {}", name,
                fmt::join(nearest_names(name, present), ", "));
  }
  return policies;
}

// A judge's choice between two responses, whichever side they were on.
std::string choice_of(const ScoredVote& scored) {
  const Vote& vote = scored.vote;
  const bool is_swapped = vote.model_b < vote.model_a;
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", vote.judge, vote.prompt_id, vote.question,
                     vote.turn.value_or(0), is_swapped ? vote.model_b : vote.model_a,
                     is_swapped ? vote.model_a : vote.model_b,
                     is_swapped ? scored.score_b : scored.score_a,
                     is_swapped ? scored.score_a : scored.score_b);
}

}  // namespace

VoteTable::VoteTable(std::span<const ScoredVote> votes, const VoteTableOptions& options)
    : policies(policies_in(votes, options.policies)) {
  std::unordered_map<std::string_view, std::uint32_t> index;
  for (std::size_t p = 0; p < policies.size(); ++p)
    index.emplace(policies[p], static_cast<std::uint32_t>(p));
  TextIndex prompts, judges;
  std::unordered_set<std::string> choices;
  has_judges = true;
  for (const ScoredVote& scored : votes) {
    const Vote& vote = scored.vote;
    const auto a = index.find(vote.model_a), b = index.find(vote.model_b);
    if (a == index.end() || b == index.end()) {
      ++num_others;
      continue;
    }
    if (scored.error) {
      ++num_errors;
      continue;
    }
    const bool is_named = !vote.judge.empty();
    has_judges &= is_named;
    if (is_named && !choices.insert(choice_of(scored)).second) ++num_duplicates;
    rows.push_back({.a = a->second,
                    .b = b->second,
                    .outcome = vote.outcome,
                    .score_a = static_cast<double>(scored.score_a),
                    .score_b = static_cast<double>(scored.score_b),
                    .prompt = prompts.of(vote.prompt_id),
                    .judge = is_named ? judges.of(vote.judge) : 0,
                    .turn = vote.turn.value_or(0)});
    if (options.style != StyleControl::kNone) {
      styles.push_back(
          style_differences(scored.style_a.value(), scored.style_b.value(), options.style));
    }
  }
  num_prompts = prompts.size();
  num_judges = judges.size();
  if (rows.empty()) {
    throw Error(ErrorKind::kInput,
                "no votes with scores on both sides: {} rows, of which {} carry an error and {} "
                "concern other policies",
                votes.size(), num_errors, num_others);
  }
}

std::vector<std::string> VoteTable::warnings() const {
  std::vector<std::string> warnings;
  if (num_errors > 0) {
    warnings.push_back(
        fmt::format("{} votes carry an error instead of scores and are dropped", num_errors));
  }
  if (num_duplicates > 0) {
    warnings.push_back(
        fmt::format("{} votes repeat an earlier vote of the same judge on the same two responses; "
                    "they are kept and count again (a judge that stands for several people, as "
                    "'crowd', repeats itself rightly)",
                    num_duplicates));
  }
  return warnings;
}

std::vector<std::uint32_t> VoteTable::prompt_of_row() const {
  std::vector<std::uint32_t> prompts;
  prompts.reserve(rows.size());
  for (const VoteRow& row : rows) prompts.push_back(row.prompt);
  return prompts;
}

std::vector<std::uint32_t> VoteTable::judge_of_row() const {
  std::vector<std::uint32_t> judges;
  judges.reserve(rows.size());
  for (const VoteRow& row : rows) judges.push_back(row.judge);
  return judges;
}

bool is_held_out(const Vote& vote, std::uint64_t seed, double share) {
  const std::string hash =
      sha256_hex(fmt::format("hold out votes, seed {}: {}", seed, vote.prompt_id));
  const auto bits = std::stoull(hash.substr(0, 13), nullptr, 16);  // 52 bits: exact in a double
  return static_cast<double>(bits) < share * 0x1p52;
}

bool has_finite_ratings(std::size_t num_policies, std::span<const VoteRow> rows,
                        std::span<const double> weights) {
  std::vector<char> beats(num_policies * num_policies, 0);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (weights[r] == 0.0) continue;
    const VoteRow& row = rows[r];
    if (row.outcome > 0.0) beats[row.a * num_policies + row.b] = 1;
    if (row.outcome < 1.0) beats[row.b * num_policies + row.a] = 1;
  }
  std::vector<ComparisonEdge> edges;
  for (std::uint32_t a = 0; a < num_policies; ++a) {
    for (std::uint32_t b = 0; b < num_policies; ++b) {
      if (beats[a * num_policies + b] != 0) edges.push_back({.a = a, .b = b, .outcome = 1.0});
    }
  }
  return win_components(num_policies, edges).size() == 1;
}

std::vector<ArenaRating> vote_ratings(const VoteTable& table) {
  const std::size_t n = table.policies.size();
  std::vector<ArenaRating> ratings;
  for (const std::string& name : table.policies) {
    ratings.push_back({.name = name,
                       .rating_elo = std::numeric_limits<double>::quiet_NaN(),
                       .rating_lo = {},
                       .rating_hi = {}});
  }
  ComparisonDesign design{
      .num_parameters = n - 1, .width = 2, .columns = {}, .values = {}, .outcomes = {}};
  std::vector<ComparisonEdge> edges;
  for (const VoteRow& row : table.rows) {
    design.columns.insert(design.columns.end(), {row.a, row.b});  // the last policy has none
    design.values.insert(design.values.end(), {1.0, -1.0});
    design.outcomes.push_back(row.outcome);
    edges.push_back({.a = row.a, .b = row.b, .outcome = row.outcome});
  }
  if (win_components(n, edges).size() > 1) return ratings;
  const ComparisonFit fit = fit_comparisons(design, {}, {});
  if (!fit.is_converged) return ratings;
  const auto prompts = table.prompt_of_row();
  const auto covariance =
      clustered_covariance(design, TieModel::kHalf, fit, prompts, table.num_prompts);
  const double elo = 400.0 / std::log(10.0);
  const auto of = [&](std::size_t p) { return p + 1 == n ? 0.0 : fit.parameters[p]; };
  double mean = 0.0;
  for (std::size_t p = 0; p < n; ++p) mean += of(p) / static_cast<double>(n);
  for (std::size_t p = 0; p < n; ++p) {
    // Variance of the parameter minus the mean of all.
    double variance = 0.0;
    const auto weight = [&](std::size_t q) {
      return (p == q ? 1.0 : 0.0) - 1.0 / static_cast<double>(n);
    };
    for (std::size_t i = 0; i + 1 < n; ++i) {
      for (std::size_t j = 0; j + 1 < n; ++j)
        variance += weight(i) * weight(j) * covariance[i * (n - 1) + j];
    }
    const double half = elo * kNormal975 * std::sqrt(std::max(variance, 0.0));
    ratings[p].rating_elo = 1000.0 + elo * (of(p) - mean);
    ratings[p].rating_lo = ratings[p].rating_elo - half;
    ratings[p].rating_hi = ratings[p].rating_elo + half;
  }
  return ratings;
}

}  // namespace charm::stats
