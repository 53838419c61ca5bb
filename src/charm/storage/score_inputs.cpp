#include "charm/storage/score_inputs.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
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
  ScoreInputs inputs;
  const auto add_file = [&](const fs::path& path, std::size_t num_rows) {
    const auto rows = static_cast<std::int64_t>(num_rows);
    inputs.files.push_back({.path = path, .sha256 = sha256_of_path(path), .num_rows = rows});
    manifest.input_hashed(path, inputs.files.back().sha256, rows);
  };
  const auto total =
      static_cast<std::int64_t>(options.scores.size() + options.held_out_scores.size());
  const auto report = [&] {
    if (!progress) return;
    progress({.what = "reading scores",
              .done = static_cast<std::int64_t>(inputs.files.size()),
              .total = total,
              .unit = "files",
              .detail = ""});
  };
  const ReadOptions read{.max_bad_rows = options.max_bad_rows, .columns = options.columns};
  for (const fs::path& path : options.scores) {
    auto [fit, held_out] = split_file(path, read, options);
    add_file(path, fit.rows.size() + held_out.rows.size());
    inputs.scores.push_back(std::move(fit));
    if (options.holdout > 0.0) inputs.held_out.push_back(std::move(held_out));
    report();
  }
  for (const fs::path& path : options.held_out_scores) {
    inputs.held_out.push_back(read_score_file(path, read));
    add_file(path, inputs.held_out.back().rows.size());
    report();
  }
  check_comparable_ids(inputs.scores);
  check_joined_prompts(options.scores, inputs.scores, read);
  inputs.ratings =
      read_ratings(options.ratings, {.category = options.category, .date = options.date});
  add_file(options.ratings, inputs.ratings.size());
  return inputs;
}

}  // namespace charm::storage
