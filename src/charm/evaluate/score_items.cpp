#include "charm/evaluate/score_items.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"

namespace charm::evaluate {
namespace {

using nlohmann::json;

/// One line of the journal: {"row": r, "scores": [..], "errors": [..]}, or the fields of one
/// response.
std::size_t journal_row(const json& group, std::size_t num_rows, const storage::Journal& journal) {
  const auto row = group.at("row").get<std::size_t>();
  if (row >= num_rows) {
    throw Error(
        ErrorKind::kInput,
        "{}: row {} of {}: the journal does not belong to these rows; remove it or use --fresh",
        journal.path().string(), row, num_rows);
  }
  return row;
}

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

/// Scores the rows and hands every result to `on_scored` once, also those that the scorer only
/// returned.
void score_all(std::span<const Response> rows, const ScoreRowsFn& score_rows,
               const score::ScoredFn& on_scored) {
  if (rows.empty()) return;
  std::vector<bool> reported(rows.size(), false);
  const std::vector<ScoredResponse> results = score_rows(
      rows, [&](std::span<const std::size_t> indices, std::span<const ScoredResponse> finished) {
        for (std::size_t i : indices) reported[i] = true;
        on_scored(indices, finished);
      });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!reported[i]) on_scored({&i, 1}, {&results[i], 1});
  }
}

/// Scores of one row as they come in.
struct RowProgress {
  std::vector<double> scores;  ///< chosen first
  std::vector<std::string> errors;
  std::size_t num_done = 0;
};

}  // namespace

ScoredItems score_items(std::span<const ScoredEvalItem> rows, const ScoreRowsFn& score_rows,
                        storage::Journal& journal) {
  std::vector<RowProgress> progress(rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    progress[r].scores.resize(rows[r].item.chosen.size() + rows[r].item.rejected.size());
  }
  for (const json& group : journal.take_finished()) {
    RowProgress& row = progress[journal_row(group, rows.size(), journal)];
    row.scores = group.at("scores").get<std::vector<double>>();
    row.errors = group.at("errors").get<std::vector<std::string>>();
    row.num_done = row.scores.size();
  }

  std::vector<Response> responses;
  std::vector<std::pair<std::size_t, std::size_t>> place;  // response -> (row, text)
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (progress[r].num_done > 0) continue;
    append_responses(rows[r].item, responses);
    for (std::size_t t = 0; t < progress[r].scores.size(); ++t) place.emplace_back(r, t);
  }
  const auto on_scored = [&](std::span<const std::size_t> indices,
                             std::span<const ScoredResponse> results) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto [r, text] = place[indices[i]];
      RowProgress& row = progress[r];
      row.scores[text] = results[i].error ? 0.0 : static_cast<double>(results[i].score);
      if (results[i].error) row.errors.push_back(*results[i].error);
      if (++row.num_done == row.scores.size()) {
        journal.append({{"row", r}, {"scores", row.scores}, {"errors", row.errors}});
      }
    }
  };
  score_all(responses, score_rows, on_scored);

  ScoredItems result;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    ScoredEvalItem scored{rows[r].item, {}, {}};
    const RowProgress& row = progress[r];
    if (row.errors.empty()) {
      const auto border =
          row.scores.begin() + static_cast<std::ptrdiff_t>(scored.item.chosen.size());
      scored.score_chosen.assign(row.scores.begin(), border);
      scored.score_rejected.assign(border, row.scores.end());
    } else {
      result.errors.push_back(
          fmt::format("row {} of {}: {}", scored.item.id, scored.item.subset, row.errors.front()));
    }
    result.rows.push_back(std::move(scored));
  }
  return result;
}

std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal) {
  std::vector<ScoredResponse> result(rows.size());
  std::vector<bool> done(rows.size(), false);
  for (const json& group : journal.take_finished()) {
    const std::size_t r = journal_row(group, rows.size(), journal);
    result[r].score = group.at("score").get<float>();
    result[r].num_tokens = group.at("num_tokens").get<std::int32_t>();
    result[r].truncated = group.at("truncated").get<bool>();
    if (group.contains("error")) result[r].error = group.at("error").get<std::string>();
    done[r] = true;
  }
  std::vector<Response> open;
  std::vector<std::size_t> place;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (done[r]) continue;
    open.push_back(rows[r]);
    place.push_back(r);
  }
  const auto on_scored = [&](std::span<const std::size_t> indices,
                             std::span<const ScoredResponse> results) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::size_t r = place[indices[i]];
      result[r] = results[i];
      json group = {{"row", r},
                    {"score", results[i].error ? 0.0f : results[i].score},
                    {"num_tokens", results[i].num_tokens},
                    {"truncated", results[i].truncated}};
      if (results[i].error) group["error"] = *results[i].error;
      journal.append(group);
    }
  };
  score_all(open, score_rows, on_scored);
  for (std::size_t r = 0; r < rows.size(); ++r) result[r].response = rows[r];
  return result;
}

}  // namespace charm::evaluate
