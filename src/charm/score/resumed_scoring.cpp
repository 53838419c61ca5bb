#include "charm/score/resumed_scoring.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::score {
namespace {

using nlohmann::json;

/// One journal line: a list of [row, score, num_tokens, truncated, error or null].
json journal_line(std::span<const std::size_t> rows, std::span<const ScoredResponse> results) {
  json line = json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ScoredResponse& r = results[i];
    line.push_back({rows[i], r.score, r.num_tokens, r.truncated, r.error ? json(*r.error) : json()});
  }
  return line;
}

void restore(const json& entry, std::vector<ScoredResponse>& results, std::vector<bool>& done) {
  const auto row = entry.at(0).get<std::size_t>();
  ScoredResponse& result = results.at(row);
  result.score = entry.at(1).get<float>();
  result.num_tokens = entry.at(2).get<std::int32_t>();
  result.truncated = entry.at(3).get<bool>();
  if (!entry.at(4).is_null()) result.error = entry.at(4).get<std::string>();
  done[row] = true;
}

}  // namespace

std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows, const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal) {
  std::vector<ScoredResponse> results;
  results.reserve(rows.size());
  for (const Response& row : rows) results.push_back({.response = row, .score = 0.0f, .error = std::nullopt});
  std::vector<bool> done(rows.size(), false);
  try {
    for (const json& line : journal.take_finished()) {
      for (const json& entry : line) restore(entry, results, done);
    }
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput, "{}: does not fit the rows to score ({}); remove it or use --fresh",
                journal.path().string(), error.what());
  }

  std::vector<std::size_t> open;  // position among the rows still to score -> row
  std::vector<Response> todo;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (done[r]) continue;
    open.push_back(r);
    todo.push_back(rows[r]);
  }
  if (todo.size() < rows.size()) log::info("continuing: {} of {} rows were scored before", rows.size() - todo.size(), rows.size());
  if (todo.empty()) return results;

  const std::vector<ScoredResponse> scored =
      score_rows(todo, [&](std::span<const std::size_t> finished, std::span<const ScoredResponse> finished_results) {
        std::vector<std::size_t> original;
        for (const std::size_t i : finished) original.push_back(open[i]);
        journal.append(journal_line(original, finished_results));
      });
  for (std::size_t i = 0; i < open.size(); ++i) results[open[i]] = scored[i];
  return results;
}

}  // namespace charm::score
