#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/records/conversation.h"
#include "charm/results/pair.h"
#include "charm/stats/comparisons.h"

namespace charm {
class OptionTable;
}

namespace charm::show {

struct ShowOptions {
  std::vector<fs::path> scores;         ///< scores files with texts, one or more policies each
  std::optional<fs::path> ratings;      ///< the offset is then fitted to this pair alone
  std::optional<fs::path> calibration;  ///< the offsets of charm calibrate
  std::string category;                 ///< Arena category, where the ratings file holds several
  std::string date;                     ///< leaderboard_publish_date, where it holds several
  std::map<std::string, std::string> aliases;  ///< policy name -> name in the ratings file
  std::string policy;
  std::string against;
  std::int64_t top = 20;  ///< comparisons shown; 0: all
  stats::ComparisonOrder sort = stats::ComparisonOrder::kFlips;
  results::TieRule ties = results::TieRule::kLoss;  ///< with ratings; a calibration has its own
  std::int64_t max_bad_rows = 0;                    ///< unusable rows tolerated per file
  std::optional<fs::path> output;                   ///< .jsonl or .csv
  std::int64_t width = 0;                           ///< columns of the terminal; 0: as it is
  std::int64_t lines = 6;                           ///< of each text on the terminal
};

using stats::Winner;

/// Both policies' responses to one prompt.
struct Comparison : stats::Comparison {
  Conversation prompt;
  std::string response_policy;
  std::string response_against;
};

struct ShowResult {
  std::string policy;
  std::string against;
  std::optional<double> offset;  ///< added to margins, score units: that of the policy minus
                                 ///< that of the other
  std::string no_offset;         ///< why there is none
  std::optional<double> target;  ///< win rate that the ratings imply
  std::int64_t num_common = 0;   ///< comparisons
  std::int64_t num_missing = 0;  ///< rows of either policy without a counterpart
  std::int64_t num_flips = 0;
  std::int64_t ties_before = 0;
  double win_rate_before = 0.0;  ///< by the tie rule
  double win_rate_after = 0.0;
  std::vector<Comparison> comparisons;  ///< at most `top`
};

/// All options of `charm show`.
void describe_command(OptionTable& table, ShowOptions& options);

/// Joins the two policies' rows by prompt; writes `output`, if given, and its manifest. Rows that
/// the offset flips come first, within them and after them the largest margins in the direction
/// that the offset corrects.
ShowResult show(const ShowOptions& options);

}  // namespace charm::show
