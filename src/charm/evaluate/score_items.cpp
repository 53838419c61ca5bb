#include "charm/evaluate/score_items.h"

#include <fmt/format.h>

#include <utility>

namespace charm::evaluate {
namespace {

/// The texts of one benchmark row as responses to its prompt, chosen ones first.
void append_responses(const EvalItem& item, std::vector<Response>& responses) {
  const std::string prompt_id = prompt_id_of(item.prompt);
  const auto append = [&](const std::vector<std::string>& texts, const char* policy) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      responses.push_back({.prompt_id = prompt_id,
                           .prompt = item.prompt,
                           .response = texts[i],
                           .policy = policy,
                           .sample = static_cast<std::int32_t>(i),
                           .finish_reason = {},
                           .num_tokens = {}});
    }
  };
  append(item.chosen, "chosen");
  append(item.rejected, "rejected");
}

}  // namespace

ScoredItems score_items(std::span<const ScoredEvalItem> rows, const score::ScoreRowsFn& score_rows,
                        storage::Journal& journal) {
  std::vector<Response> responses;
  for (const ScoredEvalItem& row : rows) append_responses(row.item, responses);
  const std::vector<ScoredResponse> results =
      score::score_responses_resumed(responses, score_rows, journal);

  ScoredItems scored;
  std::size_t next = 0;
  for (const ScoredEvalItem& row : rows) {
    const EvalItem& item = row.item;
    ScoredEvalItem out{item, {}, {}};
    std::string error;
    const auto take = [&](std::size_t count, std::vector<double>& scores) {
      for (std::size_t i = 0; i < count; ++i) {
        const ScoredResponse& result = results[next++];
        if (result.error && error.empty()) error = *result.error;
        scores.push_back(static_cast<double>(result.score));
      }
    };
    take(item.chosen.size(), out.score_chosen);
    take(item.rejected.size(), out.score_rejected);
    if (!error.empty()) {
      out = {item, {}, {}};
      scored.errors.push_back(fmt::format("row {} of {}: {}", item.id, item.subset, error));
    }
    scored.rows.push_back(std::move(out));
  }
  return scored;
}

}  // namespace charm::evaluate
