#include "charm/explain/texts.h"

#include <utility>

#include "charm/records/conversation.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"

namespace charm::explain {

FeatureFileParts read_features(const std::filesystem::path& path,
                               const storage::ReadOptions& options,
                               const std::optional<Split>& split) {
  FeatureFileParts parts;
  parts.fit.name = parts.held_out.name = path.string();
  storage::for_each_scored_response(path, options, [&](ScoredResponse&& row) {
    const bool is_row_held_out =
        split && is_held_out(row.response.prompt, split->seed, split->share);
    FeatureRow result{.score = {.prompt_id = std::move(row.response.prompt_id),
                                .policy = std::move(row.response.policy),
                                .sample = row.response.sample,
                                .score = row.score,
                                .error = std::move(row.error)},
                      .features = response_features(row.response.response)};
    (is_row_held_out ? parts.held_out : parts.fit).rows.push_back(std::move(result));
  });
  return parts;
}

FeatureTable::FeatureTable(std::span<const FeatureFile> files,
                           const stats::PairedScoresOptions& options)
    : scores_(score_files(files, [](const FeatureRow& row) { return row.score.score; }), options) {
  for (std::size_t k = 0; k < kNumFeatures; ++k) {
    features_.emplace_back(
        score_files(files, [k](const FeatureRow& row) { return row.features[k]; }), options);
  }
}

std::vector<std::vector<double>> FeatureTable::differences(std::size_t over,
                                                           std::size_t ref) const {
  std::vector<std::vector<double>> columns;
  for (const stats::PairedScores& values : features_) {
    const stats::PairRows rows = values.pair(over, ref);
    std::vector<double>& column = columns.emplace_back();
    for (std::size_t r = 0; r < rows.over.size(); ++r) column.push_back(rows.over[r] - rows.ref[r]);
  }
  return columns;
}

}  // namespace charm::explain
