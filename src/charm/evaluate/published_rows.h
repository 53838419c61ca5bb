#pragma once

#include <string>

#include "charm/base/files.h"
#include "charm/evaluate/benchmark.h"
#include "charm/records/eval_item.h"
#include "charm/storage/row_view.h"

// Rows of benchmarks in their published forms. All throw kInput without location.
namespace charm::evaluate {

/// The columns that these benchmarks have.
std::vector<std::string> published_columns(Benchmark benchmark);

/// Whether the row has the benchmark's published form; otherwise it is one of saved scores.
bool is_published(const storage::RowView& row, Benchmark benchmark);

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
