#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "charm/base/option_table.h"
#include "charm/records/arena.h"

namespace charm::stats {

/// Win rate of `rating_elo` against `reference_elo` on Chatbot Arena's scale (base 10, 400 points):
///     e = 1 / (1 + 10^((R_ref - R) / 400))
double target_win_rate(double rating_elo, double reference_elo);

/// Mismatch degree of CHARM (arXiv 2504.10045): (w - e) / max(e, 1 - e). Positive: over-valued by
/// the reward model.
double mismatch_degree(double win_rate, double target);

/// How a tie (equal scores on the same prompt) counts.
enum class TieRule {
  kLoss,  ///< 0, as in the original: then MD(a, b) is not -MD(b, a) where there are ties
  kHalf,  ///< 1/2: win rates of a pair add up to 1
};

/// `--ties`.
void describe_ties(OptionTable& table, TieRule& ties);

/// "loss" or "half".
std::string_view tie_rule_name(TieRule rule);

/// Throws kUsage for any other word.
TieRule parse_tie_rule(std::string_view word);

/// Standard error of each rating, Elo points: the width of its 95 % interval / 3.92 (that of a
/// normal distribution); 0 where there is no interval.
std::vector<double> rating_errors(std::span<const ArenaRating> ratings);

/// d(target win rate) / d(rating) at a target: e (1 - e) ln 10 / 400, per Elo point.
double target_slope(double target);

}  // namespace charm::stats
