#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "charm/evaluate/read_benchmark.h"
#include "charm/records/conversation.h"
#include "charm/report/case_collector.h"
#include "charm/storage/published_scores.h"

namespace charm::report {
namespace {

/// A row and its pair of texts on which the reward model errs most.
struct WorstPair {
  const ScoredEvalItem* row = nullptr;
  std::size_t chosen = 0, rejected = 0;

  /// Positive: the rejected text scores higher.
  double error() const { return row->score_rejected[rejected] - row->score_chosen[chosen]; }
};

/// Of PPE's rows among the pairs that count. Empty for rows with one side only.
std::optional<WorstPair> worst_pair(const ScoredEvalItem& row) {
  if (row.score_chosen.empty() || row.score_rejected.empty()) return std::nullopt;
  WorstPair worst{.row = &row};
  if (row.item.pairs.empty()) {
    worst.chosen = static_cast<std::size_t>(std::ranges::min_element(row.score_chosen) -
                                            row.score_chosen.begin());
    worst.rejected = static_cast<std::size_t>(std::ranges::max_element(row.score_rejected) -
                                              row.score_rejected.begin());
    return worst;
  }
  double largest = -std::numeric_limits<double>::infinity();
  for (const std::array<std::int32_t, 2>& pair : row.item.pairs) {
    const WorstPair one{.row = &row,
                        .chosen = static_cast<std::size_t>(pair[0]),
                        .rejected = static_cast<std::size_t>(pair[1])};
    if (one.error() <= largest) continue;
    largest = one.error();
    worst = one;
  }
  return worst;
}

Case case_of(const WorstPair& pair, bool has_texts, CaseBuilder& builder) {
  const EvalItem& item = pair.row->item;
  Case added;
  added.prompt_id = item.id;
  added.part = item.subset;
  added.a = {.name = "chosen", .score = pair.row->score_chosen[pair.chosen]};
  added.b = {.name = "rejected", .score = pair.row->score_rejected[pair.rejected]};
  if (!has_texts) return added;
  added.prompt = builder.add_text(prompt_text(item.prompt), /*is_response=*/false);
  added.a.text = builder.add_text(item.chosen[pair.chosen], /*is_response=*/true);
  added.b.text = builder.add_text(item.rejected[pair.rejected], /*is_response=*/true);
  return added;
}

void add_subset_cell(const std::string& subset, std::vector<WorstPair> pairs, bool has_texts,
                     CaseBuilder& builder) {
  std::ranges::stable_sort(pairs, std::ranges::greater(), &WorstPair::error);
  builder.add_cell(
      {.part = subset}, pairs,
      [](const WorstPair& pair) { return std::string_view(pair.row->item.id); },
      [&](const WorstPair& pair) {
        const std::string key = fmt::format("{}\x1f{}\x1f{}", subset, pair.row->item.id,
                                            prompt_id_of(pair.row->item.prompt));
        return builder.add_case(key, case_of(pair, has_texts, builder)).first;
      });
}

}  // namespace

void add_benchmark_cases(const EvaluationFile& file, CaseBuilder& builder) {
  builder.begin_group(evaluation_cases(file.model, file.benchmark),
                      fmt::format("{}, {}", file.benchmark, file.model),
                      "rows whose rejected text scores higher than the chosen one, by score "
                      "difference; of rows with several texts the worst pair");
  const std::vector<fs::path> paths = builder.find_inputs(scores_of_evaluation(file));
  if (paths.empty()) return;
  bool has_texts = true;
  for (const fs::path& path : paths)
    has_texts = has_texts && !storage::read_published_scores(path).has_value();
  if (!has_texts) builder.note("These are published scores: they have no texts.");
  const evaluate::BenchmarkRows read =
      evaluate::read_benchmark(paths,
                               {.benchmark = evaluate::parse_benchmark(file.result.benchmark),
                                .max_bad_rows = std::numeric_limits<std::int64_t>::max()},
                               /*with_scores=*/true);
  std::map<std::string, std::vector<WorstPair>> subsets;
  for (const ScoredEvalItem& row : read.rows) {
    if (const auto pair = worst_pair(row)) subsets[row.item.subset].push_back(*pair);
  }
  for (auto& [subset, pairs] : subsets)
    add_subset_cell(subset, std::move(pairs), has_texts, builder);
}

}  // namespace charm::report
