#include "charm/stats/elo.h"

#include <algorithm>
#include <cmath>

#include "charm/base/error.h"

namespace charm::stats {

double target_win_rate(double rating_elo, double reference_elo) {
  return 1.0 / (1.0 + std::pow(10.0, (reference_elo - rating_elo) / 400.0));
}

double mismatch_degree(double win_rate, double target) {
  return (win_rate - target) / std::max(target, 1.0 - target);
}

std::string_view tie_rule_name(TieRule rule) { return rule == TieRule::kLoss ? "loss" : "half"; }

TieRule parse_tie_rule(std::string_view word) {
  if (word == "loss") return TieRule::kLoss;
  if (word == "half") return TieRule::kHalf;
  throw Error(ErrorKind::kUsage, "ties: '{}' is unknown; expected loss or half", word);
}

}  // namespace charm::stats
