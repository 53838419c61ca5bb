#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::storage {

struct RatingsOptions {
  /// Category of an Arena catalogue ("full", "coding", ...); required if the file has several.
  std::string category;
  /// leaderboard_publish_date of the rows to use; required if the file has several.
  std::string date;
};

/// Policy name in the scores -> name in the ratings file (`--alias A=B`).
using Aliases = std::map<std::string, std::string>;

/// Reads ratings in any of these forms:
///   {"name": 1273}                                        plain numbers
///   {"name": {"rating": 1273, "rating_q025": ..., ...}}   one Arena category
///   {"category": {"name": {"rating": ...}}}               the Arena catalogue (RatingsOptions)
///   [{"model_name": "...", "arena_score": 1273, ...}]     a list, also the original project's
///                                                         pm_config.json; JSONL, CSV, Parquet,
///                                                         Arrow or a folder of shards as well
///   {"rows": [{"row": {...}}]}                            the datasets server's answer
///   {"competitors": [...], "ratings": [...], ...}         arena-rank's results
/// Names: name, model, model_name. Scores: score, rating, elo, arena_score. Intervals: ci,
/// arena_ci, rating_ci95 as [lo, hi] or "+5/-4", or rating_q025 and rating_q975, or rating_lower
/// and rating_upper; also the column names of the Arena's site (Model, Arena Score, 95% CI). Rows
/// with a `category` are those of a catalogue, rows with a `leaderboard_publish_date` those of a
/// history. Files of battles, the agent subset of the leaderboard dataset and ratings on another
/// scale than Elo are rejected with a specific message. Throws kInput, kIo.
std::vector<ArenaRating> read_ratings(const std::filesystem::path& path,
                                      const RatingsOptions& options = {});

/// Throws kInput if there is no rating, a name has two, or the numbers cannot be Elo points.
void check_ratings(const std::vector<ArenaRating>& ratings, const std::filesystem::path& path);

/// The rating of each policy, in the order of `policies`; result names are the policies' own.
/// Aliases first, then exact, then case-insensitive match. Throws kInput for a policy without a
/// rating (listing the nearest names) or with two case-insensitive matches; kUsage for an alias of
/// an unknown rating.
std::vector<ArenaRating> match_ratings(std::span<const std::string> policies,
                                       std::span<const ArenaRating> ratings, const Aliases& aliases,
                                       const std::filesystem::path& path);

/// Warns of each alias whose policy is none of these. Apart from `match_ratings`, which a command
/// may call for several parts of its scores.
void warn_about_aliases(const Aliases& aliases, std::span<const std::string> policies);

/// Which rows of a file of votes are battles.
struct BattleOptions {
  bool with_styles = false;      ///< style counts, or the texts to count
  bool keep_named = false;       ///< also votes on models whose names the voter saw
  bool keep_duplicates = false;  ///< also votes that the Arena's de-duplication leaves out
  /// Only rows whose tag is true: a column or a path into one, with or without the leading
  /// `category_tag` ("math_v0.1.math"); "PATH=VALUE" for a text or a list of texts. Empty: all
  /// rows.
  std::string category_tag;
  std::string baseline;  ///< of arena-hard's verdicts, for rows that do not name it
};

/// What the rows of a file of votes are.
struct BattleCounts {
  std::int64_t num_rows = 0;        ///< valid rows
  std::int64_t num_untagged = 0;    ///< left out by category_tag
  std::int64_t num_named = 0;       ///< left out: `anony` is false
  std::int64_t num_duplicates = 0;  ///< left out: `dedup_tag` is not sampled
  std::int64_t num_unjudged = 0;    ///< left out: arena-hard's judge gave no verdict
  std::int64_t num_unnamed = 0;     ///< judgments that name no baseline: it is `options.baseline`
  std::int64_t num_battles = 0;     ///< calls of `body`
};

/// Calls `body` for each battle in file order; any format that RowReader accepts, or CSV. A row has
/// `model_a` and `model_b`, and
///   winner: model_a, model_b, tie, tie (bothbad), bothbad, both_bad; or is_tie: true
///   winner_model_a, winner_model_b, winner_tie: one of them is 1 (Kaggle)
/// or is a row of arena-hard's judgments: `model`, `games` of two verdicts (A>>B, A>B, A=B, ...) of
/// which the second swaps sides, and optionally `baseline`; A>>B counts as three battles, as in
/// arena-hard's show_result.py. As FastChat's analysis of the published Arena votes does, rows
/// whose `anony` is false and rows whose `dedup_tag` is not sampled are left out.
///
/// With styles also the counts of `conv_metadata` (FastChat: sum_assistant_a_tokens,
/// header_count_a, list_count_a, bold_count_a and those of b, each a number or an object of numbers
/// to be summed), or else the texts of `response_a` and `response_b` (`response_1`, `response_2`)
/// or of the assistant's turns in `conversation_a` and `conversation_b`, which may be JSON in a
/// text. Rows with another winner, without a model name, or with the same model on both sides are
/// invalid, see RowReader::reject. Throws kUsage if no row has the tag.
BattleCounts for_each_battle(const std::filesystem::path& path, const ReadOptions& read,
                             const BattleOptions& options,
                             const std::function<void(Battle&&)>& body);

/// `--category`, `--date` and `--alias`: how policies are matched with ratings.
void describe_ratings(OptionTable& table, std::string& category, std::string& date,
                      Aliases& aliases);

}  // namespace charm::storage
