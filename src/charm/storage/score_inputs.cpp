#include "charm/storage/score_inputs.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/parallel.h"
#include "charm/records/conversation.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/joined_prompts.h"
#include "charm/storage/provenance.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"

namespace charm::storage {
namespace {

namespace fs = std::filesystem;

void check_options(const ScoreInputOptions& options) {
  if (options.scores.empty()) {
    throw Error(ErrorKind::kUsage, "no scores given; name one file for each policy with --scores");
  }
  if (options.holdout > 0.0 && !options.held_out_scores.empty()) {
    throw Error(ErrorKind::kUsage, "holdout {} and files of held-out scores: give only one of them",
                options.holdout);
  }
}

// Reads a file, split by is_held_out. The split hashes prompt texts, so it needs to read them.
std::pair<ScoreFile, ScoreFile> split_file(const fs::path& path, const ReadOptions& read,
                                           const ScoreInputOptions& options) {
  std::pair<ScoreFile, ScoreFile> parts;
  parts.first.name = parts.second.name = path.string();
  if (options.holdout == 0.0) {
    parts.first = read_score_file(path, read);
    return parts;
  }
  for_each_scored_response(path, read, [&](ScoredResponse&& row) {
    const bool held_out = is_held_out(row.response.prompt, options.seed, options.holdout);
    (held_out ? parts.second : parts.first)
        .rows.push_back({.prompt_id = std::move(row.response.prompt_id),
                         .policy = std::move(row.response.policy),
                         .sample = row.response.sample,
                         .score = row.score,
                         .error = std::move(row.error)});
  });
  if (parts.first.rows.empty() || parts.second.rows.empty()) {
    throw Error(ErrorKind::kInput, "{}: holdout {} leaves {} rows to fit on and {} to check on",
                path.string(), options.holdout, parts.first.rows.size(), parts.second.rows.size());
  }
  return parts;
}

}  // namespace

ScoreInputs read_score_inputs(const ScoreInputOptions& options, Manifest& manifest,
                              const ProgressFn& progress) {
  check_options(options);
  std::vector<fs::path> all = options.scores;
  all.insert(all.end(), options.held_out_scores.begin(), options.held_out_scores.end());
  require_one_model(all);
  const ReadOptions read{.max_bad_rows = options.max_bad_rows, .columns = options.columns};
  std::vector<std::pair<ScoreFile, ScoreFile>> parts(all.size());  // fit, held out
  std::vector<std::string> hashes(all.size());
  ProgressCounter counter(progress, "reading scores", static_cast<std::int64_t>(all.size()),
                          "files");
  parallel_for(all.size(), /*num_threads=*/0, [&](std::size_t i) {
    if (i < options.scores.size()) {
      parts[i] = split_file(all[i], read, options);
    } else {
      parts[i].second = read_score_file(all[i], read);
    }
    hashes[i] = sha256_of_path(all[i]);
    counter.advance();
  });
  ScoreInputs inputs;
  const auto add_file = [&](const fs::path& path, const std::string& sha256, std::size_t num_rows) {
    const auto rows = static_cast<std::int64_t>(num_rows);
    inputs.files.push_back({.path = path, .sha256 = sha256, .num_rows = rows});
    manifest.input_hashed(path, sha256, rows);
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& [fit, held_out] = parts[i];
    add_file(all[i], hashes[i], fit.rows.size() + held_out.rows.size());
    const bool is_fit = i < options.scores.size();
    if (is_fit) inputs.scores.push_back(std::move(fit));
    if (!is_fit || options.holdout > 0.0) inputs.held_out.push_back(std::move(held_out));
  }
  check_comparable_ids(inputs.scores);
  check_joined_prompts(options.scores, inputs.scores, read);
  inputs.ratings =
      read_ratings(options.ratings, {.category = options.category, .date = options.date});
  add_file(options.ratings, sha256_of_path(options.ratings), inputs.ratings.size());
  return inputs;
}

}  // namespace charm::storage
