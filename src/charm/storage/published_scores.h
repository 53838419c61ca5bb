#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/storage/read_options.h"

namespace charm {
struct Response;
struct Score;
}  // namespace charm

namespace charm::storage {

// RewardBench's leaderboards publish the scores of every row of every model
// (eval-set-scores/<org>/<name>.json of allenai/reward-bench-results and
// allenai/reward-bench-2-results): one object of columns `id`, `subset`, and either `scores_chosen`
// and `scores_rejected` or `scores` with `num_correct`, without the texts.

struct PublishedRow {
  std::string id;
  std::string subset;
  std::vector<double> chosen;
  std::vector<double> rejected;
};

/// The rows of such a file; empty for a file of another form. Throws kInput where its columns do
/// not fit together.
std::optional<std::vector<PublishedRow>> read_published_scores(const std::filesystem::path& file);

/// The same as scores of the policies "chosen" and "rejected", as `read_benchmark_responses` names
/// them.
std::vector<Score> scores_of(const std::vector<PublishedRow>& rows);

/// Whether the rows are a benchmark's: `prompt`, `chosen`, `rejected` and no response.
bool holds_benchmark_rows(const std::filesystem::path& file);

/// The texts of benchmark rows as responses of the policies "chosen" and "rejected" to the prompt
/// "<subset>/<id>", in the dataset's order.
std::vector<Response> read_benchmark_responses(const std::filesystem::path& file,
                                               const ReadOptions& options);

}  // namespace charm::storage
