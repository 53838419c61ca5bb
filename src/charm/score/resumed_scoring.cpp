#include "charm/score/resumed_scoring.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::score {
namespace {

using nlohmann::json;

/// Finished results as a list of [row, score, num_tokens, truncated, error or null]: a line of a
/// journal, a message between processes.
json entries_of(std::span<const std::size_t> rows, std::span<const RowScore> results) {
  json entries = json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RowScore& r = results[i];
    entries.push_back(
        {rows[i], r.score, r.num_tokens, r.truncated, r.error ? json(*r.error) : json()});
  }
  return entries;
}

void fill(const json& entry, RowScore& result) {
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

void RowJournals::restore(std::vector<RowScore>& results, std::vector<bool>& done) {
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

KnownResults unscored(std::size_t num_rows) {
  KnownResults known{.results = std::vector<RowScore>(num_rows),
                     .done = std::vector<bool>(num_rows, false)};
  for (RowScore& result : known.results) result.error = "no score";
  return known;
}

std::vector<RowScore> score_rows_resumed(const RowStore& store, const ScoreRowsFn& score_rows,
                                         storage::Journal& journal) {
  dist::World alone = dist::World::alone();
  RowJournals journals({{.journal = &journal, .rows = store.all_rows()}}, store.size());
  return score_rows_distributed(store, unscored(store.size()), score_rows, &journals, alone);
}

std::vector<std::size_t> rows_of_rank(const RowStore& store, const std::vector<bool>& done,
                                      int rank, int size) {
  struct Prompt {
    std::vector<std::size_t> rows;
    std::size_t bytes = 0;
  };
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<Prompt> prompts;
  std::vector<std::size_t> place(store.num_prompts(), kNone);
  for (std::size_t r = 0; r < store.size(); ++r) {
    if (done[r]) continue;
    std::size_t& index = place[store.prompt_index(r)];
    if (index == kNone) {
      index = prompts.size();
      prompts.push_back({.rows = {}, .bytes = conversation_json(store.prompt(r)).size()});
    }
    prompts[index].rows.push_back(r);
    prompts[index].bytes += store[r].response.size();
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

std::vector<RowScore> score_rows_distributed(const RowStore& store, KnownResults known,
                                             const ScoreRowsFn& score_rows, RowJournals* journals,
                                             dist::World& world) {
  CHARM_CHECK(world.is_root() == (journals != nullptr), "only rank 0 has journals");
  std::vector<RowScore>& results = known.results;
  std::vector<bool>& done = known.done;
  CHARM_CHECK(results.size() == store.size() && done.size() == store.size(),
              "{} rows, {} results, {} marks", store.size(), results.size(), done.size());
  if (journals != nullptr) journals->restore(results, done);
  broadcast_done(done, world);
  const auto num_done = static_cast<std::size_t>(std::count(done.begin(), done.end(), true));
  if (num_done > 0) log::info("resuming: {} of {} rows were scored before", num_done, store.size());

  const std::vector<std::size_t> mine = rows_of_rank(store, done, world.rank(), world.size());
  const auto record = [&](const std::string& message) {  // rank 0: rows finished by another rank
    const json entries = json::parse(message);
    for (const json& entry : entries) fill(entry, results.at(entry.at(0).get<std::size_t>()));
    journals->append(entries);
  };
  if (!mine.empty()) {
    std::vector<RowScore> scored = score_rows(
        store, mine,
        [&](std::span<const std::size_t> finished, std::span<const RowScore> finished_results) {
          std::vector<std::size_t> original;
          for (const std::size_t i : finished) original.push_back(mine[i]);
          const json entries = entries_of(original, finished_results);
          if (!world.is_root()) return world.post(entries.dump());
          journals->append(entries);
          for (const std::string& message : world.collect()) record(message);
        });
    for (std::size_t i = 0; i < mine.size(); ++i) results[mine[i]] = std::move(scored[i]);
  }
  world.end(record);
  return world.is_root() ? std::move(results) : std::vector<RowScore>();
}

}  // namespace charm::score
