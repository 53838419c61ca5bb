#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "charm/score/score_work.h"
#include "charm/score/scorer.h"
#include "charm/storage/journal.h"
#include "charm/storage/provenance.h"

namespace charm::score {

/// Scores rows of a store and reports finished ones (usually `score_rows` with its model bound).
using ScoreRowsFn = std::function<std::vector<RowScore>(
    const RowStore& store, std::span<const std::size_t> rows, const ScoredFn& on_scored)>;

/// The results of a run's rows: those marked in `done` are final.
struct KnownResults {
  std::vector<RowScore> results;
  std::vector<bool> done;
};

/// None of the rows scored yet.
KnownResults unscored(std::size_t num_rows);

/// Fills in what a journal says of rows, and returns those.
///
/// @param journal  for messages
/// @param groups   lists of [number, score, num_tokens, truncated, error or null]
/// @param rows     of the run, by number in the journal
/// Throws kInput if the journal does not match the rows.
std::vector<std::size_t> fill_from_journal(const std::filesystem::path& journal,
                                           std::span<const nlohmann::json> groups,
                                           std::span<const std::size_t> rows, KnownResults& known);

/// A journal and the rows of the run that it numbers 0, 1, ...
struct JournalPart {
  storage::Journal* journal;
  std::vector<std::size_t> rows;  ///< indices among all rows of the run
};

/// The journals of a process, one per output file. Each row is in at most one; a row in none is not
/// journalled. Not thread-safe.
class RowJournals {
 public:
  RowJournals(std::vector<JournalPart> parts, std::size_t num_rows);

  /// Takes over the results of an interrupted run. Throws kInput if a journal does not match the
  /// rows.
  void restore(KnownResults& known);

  void append(std::span<const std::size_t> rows, std::span<const RowScore> results);

  /// Those of `rows` that are done, but in no journal: known from the files of earlier runs. A
  /// shard's journal has all of its rows.
  void append_known(std::span<const std::size_t> rows, const KnownResults& known);

 private:
  struct Place {
    std::size_t part = SIZE_MAX;  ///< SIZE_MAX: in no journal
    std::size_t number = 0;       ///< in that journal
    bool is_journalled = false;
  };
  std::vector<JournalPart> parts_;
  std::vector<Place> places_;  ///< by row of the run
};

/// Scores those of `rows` that are not done, appends each finished batch to the journals, and
/// completes `known`. Because a score is a function of its own tokens, a resumed run gives the same
/// results as an uninterrupted one.
void score_pending(const RowStore& store, std::span<const std::size_t> rows,
                   const ScoreRowsFn& score_rows, RowJournals& journals, KnownResults& known);

/// All rows with one journal.
std::vector<RowScore> score_rows_resumed(const RowStore& store, const ScoreRowsFn& score_rows,
                                         storage::Journal& journal);

/// The results of the run's rows that need no new pass of the model: rows of finished policies are
/// marked only; rows with equal texts take their score from the policy's file of an earlier run, if
/// it was scored with the same model and settings (`fresh`: from none), and from the files of
/// `options.resume`, which must have been. Throws kInput naming what differs in one of those.
KnownResults reusable_results(const ScoreStageOptions& options,
                              const storage::Provenance& provenance, const Work& work);

}  // namespace charm::score
