#include "charm/score/resumed_scoring.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "charm/base/check.h"
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
    line.push_back(
        {rows[i], r.score, r.num_tokens, r.truncated, r.error ? json(*r.error) : json()});
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

/// Broadcasts the finished rows from rank 0.
void broadcast_done(std::vector<bool>& done, dist::World& world) {
  std::string flags;
  for (const bool d : done) flags += d ? '1' : '0';
  flags = world.broadcast(flags);
  if (flags.size() != done.size()) {
    throw Error(
        ErrorKind::kInput,
        "rank {} reads {} rows and rank 0 reads {}: all processes need the same files and options",
        world.rank(), done.size(), flags.size());
  }
  for (std::size_t r = 0; r < done.size(); ++r) done[r] = flags[r] == '1';
}

}  // namespace

std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal) {
  dist::World alone = dist::World::alone();
  return score_responses_distributed(rows, score_rows, &journal, alone);
}

std::vector<std::size_t> rows_of_rank(std::span<const Response> rows, const std::vector<bool>& done,
                                      int rank, int size) {
  struct Prompt {
    std::vector<std::size_t> rows;
    std::size_t bytes = 0;
  };
  std::vector<Prompt> prompts;
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (done[r]) continue;
    std::string key = conversation_json(rows[r].prompt);
    const std::size_t prompt_bytes = key.size();
    const auto [entry, is_new] = place.try_emplace(std::move(key), prompts.size());
    if (is_new) prompts.push_back({.rows = {}, .bytes = prompt_bytes});
    prompts[entry->second].rows.push_back(r);
    prompts[entry->second].bytes += rows[r].response.size();
  }
  std::vector<std::size_t> mine;
  std::vector<std::size_t> load(static_cast<std::size_t>(size), 0);
  for (const Prompt& prompt : prompts) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += prompt.bytes;
    if (least - load.begin() == rank)
      mine.insert(mine.end(), prompt.rows.begin(), prompt.rows.end());
  }
  std::sort(mine.begin(), mine.end());
  return mine;
}

std::vector<ScoredResponse> score_responses_distributed(std::span<const Response> rows,
                                                        const ScoreRowsFn& score_rows,
                                                        storage::Journal* journal,
                                                        dist::World& world) {
  CHARM_CHECK(world.is_root() == (journal != nullptr), "only rank 0 has the journal");
  std::vector<ScoredResponse> results;
  results.reserve(rows.size());
  for (const Response& row : rows)
    results.push_back({.response = row, .score = 0.0f, .error = std::nullopt});
  std::vector<bool> done(rows.size(), false);
  if (journal != nullptr) {
    try {
      for (const json& line : journal->take_finished()) {
        for (const json& entry : line) restore(entry, results, done);
      }
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kInput,
                  "{}: does not match the rows to score ({}); remove it or use --fresh",
                  journal->path().string(), error.what());
    }
  }
  broadcast_done(done, world);
  const auto num_done = static_cast<std::size_t>(std::count(done.begin(), done.end(), true));
  if (num_done > 0) log::info("resuming: {} of {} rows are in the journal", num_done, rows.size());

  const std::vector<std::size_t> mine = rows_of_rank(rows, done, world.rank(), world.size());
  std::vector<Response> todo;
  for (const std::size_t r : mine) todo.push_back(rows[r]);
  const auto record = [&](const std::string& message) {  // rank 0: rows finished by another rank
    const json line = json::parse(message);
    for (const json& entry : line) restore(entry, results, done);
    journal->append(line);
  };
  if (!todo.empty()) {
    const std::vector<ScoredResponse> scored =
        score_rows(todo, [&](std::span<const std::size_t> finished,
                             std::span<const ScoredResponse> finished_results) {
          std::vector<std::size_t> original;
          for (const std::size_t i : finished) original.push_back(mine[i]);
          const json line = journal_line(original, finished_results);
          if (!world.is_root()) return world.post(line.dump());
          journal->append(line);
          for (const std::string& message : world.collect()) record(message);
        });
    for (std::size_t i = 0; i < mine.size(); ++i) results[mine[i]] = scored[i];
  }
  world.end(record);
  return world.is_root() ? results : std::vector<ScoredResponse>();
}

}  // namespace charm::score
