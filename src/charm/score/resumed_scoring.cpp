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

json entry_of(std::size_t number, const RowScore& r) {
  return {number, r.score, r.num_tokens, r.truncated, r.error ? json(*r.error) : json()};
}

void fill(const json& entry, RowScore& result) {
  result.score = entry.at(1).get<float>();
  result.num_tokens = entry.at(2).get<std::int32_t>();
  result.truncated = entry.at(3).get<bool>();
  result.error.reset();
  if (!entry.at(4).is_null()) result.error = entry.at(4).get<std::string>();
}

}  // namespace

KnownResults unscored(std::size_t num_rows) {
  KnownResults known{.results = std::vector<RowScore>(num_rows),
                     .done = std::vector<bool>(num_rows, false)};
  for (RowScore& result : known.results) result.error = "no score";
  return known;
}

std::vector<std::size_t> fill_from_journal(const std::filesystem::path& journal,
                                           std::span<const json> groups,
                                           std::span<const std::size_t> rows, KnownResults& known) {
  std::vector<std::size_t> filled;
  try {
    for (const json& group : groups) {
      for (const json& entry : group) {
        const auto number = entry.at(0).get<std::size_t>();
        if (number >= rows.size())
          throw Error(ErrorKind::kInput, "row {} of {}", number, rows.size());
        fill(entry, known.results.at(rows[number]));
        known.done.at(rows[number]) = true;
        filled.push_back(rows[number]);
      }
    }
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput,
                "{}: does not match the rows to score ({}); remove it or use --fresh",
                journal.string(), error.what());
  }
  return filled;
}

RowJournals::RowJournals(std::vector<JournalPart> parts, std::size_t num_rows)
    : parts_(std::move(parts)), places_(num_rows) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    for (std::size_t i = 0; i < parts_[p].rows.size(); ++i)
      places_.at(parts_[p].rows[i]) = {.part = p, .number = i};
  }
}

void RowJournals::restore(KnownResults& known) {
  for (const JournalPart& part : parts_) {
    const std::vector<json> groups = part.journal->take_finished();
    for (const std::size_t row : fill_from_journal(part.journal->path(), groups, part.rows, known))
      places_[row].is_journalled = true;
  }
}

void RowJournals::append(std::span<const std::size_t> rows, std::span<const RowScore> results) {
  std::map<std::size_t, json> lines;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Place& place = places_.at(rows[i]);
    if (place.part == SIZE_MAX) continue;
    place.is_journalled = true;
    lines[place.part].push_back(entry_of(place.number, results[i]));
  }
  for (const auto& [part, line] : lines) parts_[part].journal->append(line);
}

void RowJournals::append_known(std::span<const std::size_t> rows, const KnownResults& known) {
  std::vector<std::size_t> missing;
  std::vector<RowScore> results;
  for (const std::size_t row : rows) {
    if (!known.done[row] || places_[row].is_journalled) continue;
    missing.push_back(row);
    results.push_back(known.results[row]);
  }
  append(missing, results);
}

void score_pending(const RowStore& store, std::span<const std::size_t> rows,
                   const ScoreRowsFn& score_rows, RowJournals& journals, KnownResults& known) {
  CHARM_CHECK(known.results.size() == store.size() && known.done.size() == store.size(),
              "{} rows, {} results, {} marks", store.size(), known.results.size(),
              known.done.size());
  journals.restore(known);
  std::vector<std::size_t> pending;
  for (const std::size_t row : rows) {
    if (!known.done[row]) pending.push_back(row);
  }
  if (pending.size() < rows.size()) {
    log::info("resuming: {} of {} rows were scored before", rows.size() - pending.size(),
              rows.size());
  }
  if (pending.empty()) return;
  std::vector<RowScore> scored =
      score_rows(store, pending,
                 [&](std::span<const std::size_t> positions, std::span<const RowScore> results) {
                   std::vector<std::size_t> finished;
                   for (const std::size_t i : positions) finished.push_back(pending[i]);
                   journals.append(finished, results);
                 });
  for (std::size_t i = 0; i < pending.size(); ++i) {
    known.results[pending[i]] = std::move(scored[i]);
    known.done[pending[i]] = true;
  }
}

std::vector<RowScore> score_rows_resumed(const RowStore& store, const ScoreRowsFn& score_rows,
                                         storage::Journal& journal) {
  RowJournals journals({{.journal = &journal, .rows = store.all_rows()}}, store.size());
  KnownResults known = unscored(store.size());
  score_pending(store, store.all_rows(), score_rows, journals, known);
  return std::move(known.results);
}

}  // namespace charm::score
