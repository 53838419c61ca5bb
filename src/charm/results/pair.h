#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "charm/records/arena.h"
#include "charm/results/estimate.h"

namespace charm::results {

class Fields;

/// How a tie (equal scores on the same prompt) counts.
enum class TieRule {
  kLoss,  ///< 0, as in the original: then MD(a, b) is not -MD(b, a) where there are ties
  kHalf,  ///< 1/2: win rates of a pair add up to 1
};

/// "loss" or "half".
std::string_view tie_rule_name(TieRule rule);

/// Throws kUsage for any other word.
TieRule parse_tie_rule(std::string_view word);

/// Win rate and mismatch degree of a pair at given offsets.
struct PairRates {
  Estimate win_rate;
  Estimate mismatch;
  std::int64_t ties = 0;
};

/// Significance level of the corrected p-values.
inline constexpr double kSignificanceLevel = 0.05;

/// Words of the flag of a significant mismatch.
inline constexpr std::string_view kOverValued = "over-valued";
inline constexpr std::string_view kUnderValued = "under-valued";

/// Test of H0: win rate = target; for a policy, H0: its mean mismatch degree = 0.
struct MismatchTest {
  double p_value = 1.0;       ///< two-sided
  double p_value_holm = 1.0;  ///< Holm: controls the family-wise error rate over all tests
  double p_value_bh = 1.0;    ///< Benjamini-Hochberg: controls the false discovery rate
  /// Whether the mismatch is significant at kSignificanceLevel after Holm's correction.
  bool is_significant() const { return p_value_holm < kSignificanceLevel; }
};

/// One ordered pair, `policy` against `reference`, on the same-prompt rows of both.
struct Pair {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::int64_t num_rows = 0;  ///< more than num_prompts where policies answered several times
  std::int64_t missing_policy = 0;
  std::int64_t missing_reference = 0;
  Estimate target;   ///< win rate that the ratings imply
  PairRates before;  ///< under the reward model's own scores

  std::optional<MismatchTest> test;  ///< by `charm measure`

  // Of votes: `target` is then people's win rate, and rows are votes.
  std::optional<Estimate> agreement;  ///< share of decided votes whose chosen response scores
                                      ///< higher, ties half
  std::int64_t num_decided = 0;

  // By `charm calibrate`.
  std::optional<PairRates> after;  ///< with the offsets added; intervals: the offsets held fixed
  double residual = 0.0;  ///< win rate - target after calibration, in the mode's own win rate
  std::optional<double> leverage;  ///< regression leverage in [0, 1]; three or more policies only
  std::optional<double>
      influence;  ///< largest change of any offset, score units, when the pair is dropped from the
                  ///< fit (linearised); three or more policies only
};

nlohmann::ordered_json to_json(const Pair& pair);
Pair read_pair(const Fields& fields);

/// Sets `p_value`, `p_value_holm`, `p_value_bh` and `flag`: "over-valued", "under-valued" or null.
void put_test(nlohmann::ordered_json& object, const MismatchTest& test, double mismatch);
std::optional<MismatchTest> read_test(const Fields& fields);

// Parts of a policy's entry in mismatch.json and calibration.json: "policy", "rating",
// "rating_ci95".
nlohmann::ordered_json rating_json(const ArenaRating& rating);
/// The rating is NaN where the file has none.
ArenaRating read_rating(const Fields& fields);

}  // namespace charm::results
