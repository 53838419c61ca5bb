#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/pair.h"

namespace charm {
class OptionTable;
}

namespace charm::stats {

/// Win rate of `rating_elo` against `reference_elo` on Chatbot Arena's scale (base 10, 400 points):
///     e = 1 / (1 + 10^((R_ref - R) / 400))
double target_win_rate(double rating_elo, double reference_elo);

/// Mismatch degree of CHARM (arXiv 2504.10045): (w - e) / max(e, 1 - e). Positive: over-valued by
/// the reward model.
double mismatch_degree(double win_rate, double target);

using results::parse_tie_rule;
using results::tie_rule_name;
using results::TieRule;

/// `--ties`.
void describe_ties(OptionTable& table, TieRule& ties);

/// Standard error of each rating, Elo points: the width of its 95 % interval / 3.92 (that of a
/// normal distribution); 0 where there is no interval.
std::vector<double> rating_errors(std::span<const ArenaRating> ratings);

/// d(target win rate) / d(rating) at a target: e (1 - e) ln 10 / 400, per Elo point.
double target_slope(double target);

}  // namespace charm::stats
