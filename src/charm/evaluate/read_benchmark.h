#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/evaluate/benchmark.h"
#include "charm/records/eval_item.h"

namespace charm::storage {
class RowView;
}

namespace charm::evaluate {

struct ReadBenchmarkOptions {
  Benchmark benchmark = Benchmark::kRewardBench;
  std::int64_t max_bad_rows = 0;  ///< unusable rows tolerated per file
};

struct BenchmarkRows {
  /// Without saved scores the score lists are empty.
  std::vector<ScoredEvalItem> rows;
  std::int64_t num_bad_rows = 0;
};

/// Rows of RewardBench v1 (`id`, `subset`, `prompt`, `chosen`, `rejected`; for the prior test sets
/// the subset may come from the file's name), RewardBench 2 (lists of texts; `num_correct`,
/// `num_incorrect` and `total_completions` must agree with them where present) or RM-Bench (lists
/// of three texts; the domain from the `domain` field, an id that begins with it, or the file's
/// name as in `safety-refuse_filtered.json`). `with_scores` also reads `score_chosen` and
/// `score_rejected`; a row without a finite score is unusable. Throws kInput for unusable rows
/// beyond the limit and for duplicate rows. Files that RewardBench's leaderboards publish
/// (storage/published_scores.h) are read with their scores, without texts.
BenchmarkRows read_benchmark(std::span<const fs::path> paths, const ReadBenchmarkOptions& options,
                             bool with_scores);

/// Identity of a row across files: subset, id and texts.
std::string identity(const EvalItem& item);

/// At most `limit` rows of each subset, sampled by `seed` and the subset's name, in the given
/// order. RewardBench 2's Ties subset is sampled by question (two rows), at least one.
std::vector<ScoredEvalItem> limit_per_subset(std::vector<ScoredEvalItem> rows, std::int64_t limit,
                                             std::uint64_t seed);

/// The columns that these benchmarks have.
std::vector<std::string> published_columns(Benchmark benchmark);

/// The column that tells a row in the published form of a pair benchmark from one of saved scores.
const char* published_key(Benchmark benchmark);

/// JudgeBench: pair_id, source, question, response_A, response_B, label ("A>B", "B>A"). The subset
/// is the source. Saved scores may also be given as score_A and score_B.
/// RMB: pairs (pair_uid, conversation_input, chosen, reject with an answer, category_path) and
/// best-of-n rows (bon_uid, bon_best, loser_list). The subset is the category_path.
/// PPE's correctness sets: question_id, prompt, response_1, response_2, ..., scores (whether each
/// is right), sampled_conflict_pairs. The subset is that of the file's or folder's name (mmlu-pro,
/// math, gpqa, ifeval, mbpp-plus), or of a column `subset`.
ScoredEvalItem published_row(const storage::RowView& row, Benchmark benchmark, const fs::path& file,
                             bool with_scores);

}  // namespace charm::evaluate
