#include "charm/score/resumed_scoring.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::score {
namespace {

using nlohmann::json;

/// Finished results as a list of [row, score, num_tokens, truncated, error or null]: a line of a
/// journal, a message between processes.
json entries_of(std::span<const std::size_t> rows, std::span<const ScoredResponse> results) {
  json entries = json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ScoredResponse& r = results[i];
    entries.push_back(
        {rows[i], r.score, r.num_tokens, r.truncated, r.error ? json(*r.error) : json()});
  }
  return entries;
}

void fill(const json& entry, ScoredResponse& result) {
  result.score = entry.at(1).get<float>();
  result.num_tokens = entry.at(2).get<std::int32_t>();
  result.truncated = entry.at(3).get<bool>();
  result.error.reset();
  if (!entry.at(4).is_null()) result.error = entry.at(4).get<std::string>();
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

RowJournals::RowJournals(std::vector<JournalPart> parts, std::size_t num_rows)
    : parts_(std::move(parts)), places_(num_rows) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    for (std::size_t i = 0; i < parts_[p].rows.size(); ++i)
      places_.at(parts_[p].rows[i]) = {.part = p, .number = i};
  }
}

void RowJournals::restore(std::vector<ScoredResponse>& results, std::vector<bool>& done) {
  for (JournalPart& part : parts_) {
    try {
      for (const json& line : part.journal->take_finished()) {
        for (const json& entry : line) {
          const std::size_t row = part.rows.at(entry.at(0).get<std::size_t>());
          fill(entry, results.at(row));
          done.at(row) = true;
        }
      }
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kInput,
                  "{}: does not match the rows to score ({}); remove it or use --fresh",
                  part.journal->path().string(), error.what());
    }
  }
}

void RowJournals::append(const json& entries) {
  std::map<std::size_t, json> lines;
  for (json entry : entries) {
    const Place& place = places_.at(entry.at(0).get<std::size_t>());
    if (place.part == SIZE_MAX) continue;
    entry[0] = place.number;
    lines[place.part].push_back(std::move(entry));
  }
  for (const auto& [part, line] : lines) parts_[part].journal->append(line);
}

KnownResults unscored(std::span<const Response> rows) {
  KnownResults known{.results = {}, .done = std::vector<bool>(rows.size(), false)};
  known.results.reserve(rows.size());
  for (const Response& row : rows)
    known.results.push_back({.response = row, .score = 0.0f, .error = "no score"});
  return known;
}

std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal) {
  dist::World alone = dist::World::alone();
  std::vector<std::size_t> all(rows.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  RowJournals journals({{.journal = &journal, .rows = std::move(all)}}, rows.size());
  return score_responses_distributed(rows, unscored(rows), score_rows, &journals, alone);
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
                                                        KnownResults known,
                                                        const ScoreRowsFn& score_rows,
                                                        RowJournals* journals, dist::World& world) {
  CHARM_CHECK(world.is_root() == (journals != nullptr), "only rank 0 has journals");
  std::vector<ScoredResponse>& results = known.results;
  std::vector<bool>& done = known.done;
  CHARM_CHECK(results.size() == rows.size() && done.size() == rows.size(),
              "{} rows, {} results, {} marks", rows.size(), results.size(), done.size());
  if (journals != nullptr) journals->restore(results, done);
  broadcast_done(done, world);
  const auto num_done = static_cast<std::size_t>(std::count(done.begin(), done.end(), true));
  if (num_done > 0) log::info("resuming: {} of {} rows were scored before", num_done, rows.size());

  const std::vector<std::size_t> mine = rows_of_rank(rows, done, world.rank(), world.size());
  std::vector<Response> todo;
  for (const std::size_t r : mine) todo.push_back(rows[r]);
  const auto record = [&](const std::string& message) {  // rank 0: rows finished by another rank
    const json entries = json::parse(message);
    for (const json& entry : entries) fill(entry, results.at(entry.at(0).get<std::size_t>()));
    journals->append(entries);
  };
  if (!todo.empty()) {
    const std::vector<ScoredResponse> scored =
        score_rows(todo, [&](std::span<const std::size_t> finished,
                             std::span<const ScoredResponse> finished_results) {
          std::vector<std::size_t> original;
          for (const std::size_t i : finished) original.push_back(mine[i]);
          const json entries = entries_of(original, finished_results);
          if (!world.is_root()) return world.post(entries.dump());
          journals->append(entries);
          for (const std::string& message : world.collect()) record(message);
        });
    for (std::size_t i = 0; i < mine.size(); ++i) results[mine[i]] = scored[i];
  }
  world.end(record);
  return world.is_root() ? std::move(results) : std::vector<ScoredResponse>();
}

}  // namespace charm::score
