#include "charm/show/show_stage.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/output_lock.h"
#include "charm/base/strings.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/results/calibration.h"
#include "charm/show/show_text.h"
#include "charm/stats/elo.h"
#include "charm/stats/outcomes.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"

namespace charm::show {
namespace {

using stats::PairOffsets;

void check_options(const ShowOptions& options) {
  if (options.ratings.has_value() == options.calibration.has_value()) {
    throw Error(ErrorKind::kUsage,
                "give either --ratings or --calibration: where the offset of "
                "the two policies comes from");
  }
  const bool names_ratings =
      !options.category.empty() || !options.date.empty() || !options.aliases.empty();
  if (options.calibration && names_ratings)
    throw Error(ErrorKind::kUsage, "--category, --date and --alias need --ratings");
  if (options.calibration && options.ties != results::TieRule::kLoss) {
    throw Error(ErrorKind::kUsage,
                "--ties has no meaning with --calibration, which has a tie rule of its own");
  }
  if (options.policy == options.against) {
    throw Error(ErrorKind::kUsage, "--policy and --against are both '{}'; expected two policies",
                options.policy);
  }
  if (options.output) {
    require_known_format(*options.output);
    require_writable(*options.output);
    require_distinct(*options.output, options.scores);
  }
}

std::vector<ScoreFile> read_score_files(const ShowOptions& options, storage::Manifest& manifest) {
  storage::require_one_model(options.scores);
  std::vector<ScoreFile> files;
  for (const fs::path& path : options.scores) {
    files.push_back(storage::read_score_file(path, {.max_bad_rows = options.max_bad_rows}));
    manifest.input(path, static_cast<std::int64_t>(files.back().rows.size()));
  }
  storage::check_comparable_ids(files);
  return files;
}

double offset_of(const results::Calibration& calibration, const std::string& policy,
                 const fs::path& file) {
  std::vector<std::string> names;
  for (const results::CalibratedPolicy& one : calibration.policies) {
    if (one.policy == policy) return one.offset.value;
    names.push_back(one.policy);
  }
  throw Error(ErrorKind::kInput, "{}: has no offset of policy '{}'; nearest names: {}",
              file.string(), policy, fmt::join(nearest_names(policy, names), ", "));
}

/// Offsets and target from a calibration.
PairOffsets read_offsets(const ShowOptions& options, ShowResult& result, results::TieRule& ties,
                         storage::Manifest& manifest) {
  const fs::path& file = *options.calibration;
  const results::Calibration calibration = results::read_calibration(file);
  manifest.input(file);
  ties = calibration.options.ties;
  const PairOffsets offsets{offset_of(calibration, options.policy, file),
                            offset_of(calibration, options.against, file)};
  result.offset = offsets.margin();
  for (const auto* pairs : {&calibration.pairs, &calibration.other_pairs}) {
    for (const results::Pair& pair : *pairs) {
      if (pair.policy == options.policy && pair.reference == options.against)
        result.target = pair.target.value;
      if (pair.reference == options.policy && pair.policy == options.against)
        result.target = 1.0 - pair.target.value;
    }
  }
  return offsets;
}

/// The offset that the ratings of the two policies imply, on their own prompts.
PairOffsets fit_offset(const ShowOptions& options, const stats::PairedScores& scores,
                       ShowResult& result, storage::Manifest& manifest) {
  const std::vector<ArenaRating> all =
      storage::read_ratings(*options.ratings, {.category = options.category, .date = options.date});
  manifest.input(*options.ratings, static_cast<std::int64_t>(all.size()));
  storage::warn_about_aliases(options.aliases, scores.names());
  const std::vector<ArenaRating> ratings =
      storage::match_ratings(scores.names(), all, options.aliases, *options.ratings);
  const std::size_t policy = scores.index_of(options.policy),
                    against = scores.index_of(options.against);
  result.target = stats::target_win_rate(ratings[policy].rating_elo, ratings[against].rating_elo);
  results::SolveOptions solve;
  solve.ties = options.ties;
  solve.bootstrap = 0;
  try {
    const results::Calibration calibration = calibrate::solve(scores, ratings, against, solve);
    result.offset = offset_of(calibration, options.policy, *options.ratings);
  } catch (const Error& error) {
    // The texts are worth a look all the same: a policy that always wins has no finite offset.
    if (error.kind() != ErrorKind::kInput) throw;
    result.no_offset = error.message();
  }
  return {.policy = result.offset.value_or(0.0), .against = 0.0};
}

/// Puts the texts of the two policies beside their scores.
void read_texts(const ShowOptions& options, const std::vector<ScoreFile>& files,
                std::vector<Comparison>& comparisons) {
  const auto key_of = [](const std::string& prompt_id, std::int32_t sample) {
    return fmt::format("{}\x1f{}", prompt_id, sample);
  };
  std::unordered_map<std::string, Comparison*> shown;
  for (Comparison& one : comparisons) shown.emplace(key_of(one.prompt_id, one.sample), &one);
  for (std::size_t file = 0; file < files.size(); ++file) {
    const bool has_any =
        std::any_of(files[file].rows.begin(), files[file].rows.end(), [&](const Score& row) {
          return row.policy == options.policy || row.policy == options.against;
        });
    if (!has_any) continue;
    storage::for_each_scored_response(
        options.scores[file], {.max_bad_rows = options.max_bad_rows}, [&](ScoredResponse&& row) {
          const bool is_policy = row.response.policy == options.policy;
          if (!is_policy && row.response.policy != options.against) return;
          const auto found = shown.find(key_of(row.response.prompt_id, row.response.sample));
          if (found == shown.end()) return;
          Comparison& one = *found->second;
          (is_policy ? one.response_policy : one.response_against) =
              std::move(row.response.response);
          if (is_policy) one.prompt = std::move(row.response.prompt);
        });
  }
}

void count(const std::vector<stats::Comparison>& comparisons, results::TieRule ties,
           ShowResult& result) {
  stats::WinCount before, after;
  const auto add = [](stats::WinCount& count, Winner winner) {
    count.wins += winner == Winner::kPolicy ? 1.0 : 0.0;
    count.ties += winner == Winner::kTie ? 1.0 : 0.0;
    count.total += 1.0;
  };
  for (const stats::Comparison& one : comparisons) {
    add(before, one.before);
    add(after, one.after);
    result.num_flips += one.flips() ? 1 : 0;
  }
  result.num_common = std::ssize(comparisons);
  result.ties_before = static_cast<std::int64_t>(before.ties);
  result.win_rate_before = before.win_rate(ties);
  result.win_rate_after = after.win_rate(ties);
}

}  // namespace

ShowResult show(const ShowOptions& options) {
  check_options(options);
  std::optional<OutputLock> lock;
  if (options.output) lock.emplace(*options.output);
  storage::Manifest manifest("show");
  manifest.options(options, describe_command);
  const std::vector<ScoreFile> files = read_score_files(options, manifest);
  const stats::PairedScores scores(files, {.first_policy = options.policy,
                                           .min_prompts = 1,
                                           .strict = false,
                                           .policies = {options.policy, options.against}});
  ShowResult result;
  result.policy = options.policy;
  result.against = options.against;
  results::TieRule ties = options.ties;
  const PairOffsets offsets = options.calibration ? read_offsets(options, result, ties, manifest)
                                                  : fit_offset(options, scores, result, manifest);
  const std::size_t policy = scores.index_of(options.policy),
                    against = scores.index_of(options.against);
  std::vector<stats::Comparison> comparisons = stats::compare(scores, policy, against, offsets);
  count(comparisons, ties, result);
  result.num_missing =
      scores.policy(policy).num_scores + scores.policy(against).num_scores - 2 * result.num_common;
  // A negative offset corrects wins of the policy.
  stats::sort_comparisons(comparisons, options.sort,
                          /*is_over_valued=*/result.offset.value_or(-1.0) < 0.0);
  if (options.top > 0 && std::ssize(comparisons) > options.top)
    comparisons.resize(static_cast<std::size_t>(options.top));
  for (stats::Comparison& one : comparisons)
    result.comparisons.push_back({std::move(one), {}, {}, {}});
  read_texts(options, files, result.comparisons);
  if (options.output) {
    write_file(*options.output, output_text(result, *options.output));
    manifest.output(*options.output, std::ssize(result.comparisons));
    storage::write_manifest(*options.output, manifest);
  }
  return result;
}

}  // namespace charm::show
