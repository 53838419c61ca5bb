#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/features.h"
#include "charm/records/score.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/read_options.h"

namespace charm::explain {

/// A row of a scores file with the features of its response.
struct FeatureRow {
  Score score;
  Features features{};
};

/// The rows of one scores file, with the name that messages use for it.
struct FeatureFile {
  std::string name;
  std::vector<FeatureRow> rows;
};

/// The share of the prompts held out of a fit, as by `charm calibrate --holdout`.
struct Split {
  double share = 0.0;
  std::uint64_t seed = 0;
};

/// The fit and held-out rows of one file; `held_out` is empty without a split.
struct FeatureFileParts {
  FeatureFile fit;
  FeatureFile held_out;
};

/// Reads a scores file with its texts, one row at a time; the texts are not kept.
FeatureFileParts read_features(const std::filesystem::path& path,
                               const storage::ReadOptions& options,
                               const std::optional<Split>& split);

/// The files with a value per row in place of its score.
template <typename Value>
std::vector<ScoreFile> score_files(std::span<const FeatureFile> files, const Value& value) {
  std::vector<ScoreFile> result;
  for (const FeatureFile& file : files) {
    ScoreFile& to = result.emplace_back(ScoreFile{.name = file.name, .rows = {}});
    for (const FeatureRow& row : file.rows) {
      to.rows.push_back(row.score);
      if (!row.score.error) to.rows.back().score = static_cast<float>(value(row));
    }
  }
  return result;
}

/// Scores and features of several policies joined on the same keys: row r of a pair's scores is row
/// r of each of its features. Immutable.
class FeatureTable {
 public:
  /// Errors as of stats::PairedScores.
  FeatureTable(std::span<const FeatureFile> files, const stats::PairedScoresOptions& options);

  const stats::PairedScores& scores() const { return scores_; }
  stats::PairRows pair(std::size_t over, std::size_t ref) const { return scores_.pair(over, ref); }
  /// [feature][row] feature of `over` - feature of `ref`.
  std::vector<std::vector<double>> differences(std::size_t over, std::size_t ref) const;

 private:
  stats::PairedScores scores_;
  std::vector<stats::PairedScores> features_;  // values in place of scores
};

}  // namespace charm::explain
